import { Outgoing } from '@rivetr/sdk/kit'
import type { GitHttpRequest, GitHttpResponse, HttpClient } from 'isomorphic-git'
import type { Client, ClientChannel } from 'ssh2'
import type { BuiltinSettings } from './builtin-engine.ts'
import type { Place } from './engine.ts'
import { faultOf } from './fault.ts'
import { connect, type SshAccess } from './ssh-connection.ts'
import { TransferWatch } from './transfer-watch.ts'

const service = '001e# service=git-upload-pack\n0000'

/** Speaks to `git-upload-pack` over ssh what the library says over http: first it tells its refs, then it is asked. */
export class SshTransport implements HttpClient {
  readonly #place: Place
  readonly #access: SshAccess
  readonly #settings: BuiltinSettings
  #client: Client | undefined
  #channel: ClientChannel | undefined
  /** One reader for both: what comes after the refs is the answer. */
  #chunks: AsyncGenerator<Buffer> | undefined
  readonly #stderr: string[] = []
  /** What ended a transfer: the library takes its error for the end of the answer. */
  broke: Error | undefined

  constructor(place: Place, access: SshAccess, settings: BuiltinSettings) {
    this.#place = place
    this.#access = access
    this.#settings = settings
  }

  readonly request = async ({ url, method = 'GET', body }: GitHttpRequest): Promise<GitHttpResponse> => {
    if (method === 'GET') {
      const advertisement = await this.#open()
      return {
        url,
        method,
        statusCode: 200,
        statusMessage: 'OK',
        headers: { 'content-type': 'application/x-git-upload-pack-advertisement' },
        body: once(Buffer.concat([Buffer.from(service), advertisement])),
      }
    }
    if (this.#channel === undefined || this.#chunks === undefined) throw new Error('the refs come first')
    for await (const chunk of body ?? []) this.#channel.write(chunk)
    return { url, method, statusCode: 200, statusMessage: 'OK', headers: {}, body: this.#chunks }
  }

  close(): void {
    void this.#chunks?.return(undefined)
    this.#client?.destroy()
    this.#client = undefined
    this.#channel = undefined
    this.#chunks = undefined
  }

  /** The refs, as they come until the first flush packet (gitprotocol-pack, "Reference Discovery"). */
  async #open(): Promise<Buffer> {
    this.close() // every piece of work begins with the refs
    const client = await connect(this.#access, new Outgoing(this.#settings.outgoingAllow))
    this.#client = client
    const path = quoted(this.#place.ssh?.path ?? '')
    const channel = await new Promise<ClientChannel>((resolve, reject) =>
      client.exec(`git-upload-pack ${path}`, (error, opened) => (error ? reject(error) : resolve(opened))),
    )
    channel.stderr.setEncoding('utf8').on('data', (text: string) => this.#stderr.push(...text.split('\n')))
    this.#channel = channel
    let got: Buffer = Buffer.alloc(0)
    const chunks = this.#read(channel)
    this.#chunks = chunks
    for (let end = 0; ; ) {
      while (end + 4 <= got.length) {
        const length = Number.parseInt(got.toString('latin1', end, end + 4), 16)
        if (Number.isNaN(length)) throw this.#fault('invalid server response')
        if (length === 0) return got.subarray(0, end + 4)
        end += length
      }
      const { value, done } = await chunks.next()
      if (done) throw this.#fault('early EOF')
      got = Buffer.concat([got, value])
    }
  }

  async *#read(channel: ClientChannel): AsyncGenerator<Buffer> {
    let slow = false
    const watch = new TransferWatch(this.#settings, () => {
      slow = true
      channel.destroy()
    })
    try {
      for await (const chunk of channel) {
        watch.count(chunk.length)
        yield chunk
      }
    } finally {
      watch.stop()
    }
    if (!slow) return
    this.broke = this.#fault('Operation too slow')
    throw this.broke
  }

  #fault(line: string): Error {
    return faultOf([...this.#stderr, line], this.#place.url)
  }
}

/** As git quotes for the shell at the other end. */
export function quoted(path: string): string {
  return `'${path.replace(/['!]/g, (sign) => `'\\${sign}'`)}'`
}

async function* once(chunk: Buffer): AsyncIterableIterator<Uint8Array> {
  yield chunk
}

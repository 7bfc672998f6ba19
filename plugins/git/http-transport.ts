import type { IncomingMessage } from 'node:http'
import { rootCertificates } from 'node:tls'
import { Outgoing } from '@rivetr/sdk/kit'
import type { GitHttpRequest, GitHttpResponse, HttpClient } from 'isomorphic-git'
import type { BuiltinSettings } from './builtin-engine.ts'
import type { Place } from './engine.ts'
import { faultOf, lineOf } from './fault.ts'
import { TransferWatch } from './transfer-watch.ts'

const mostRedirects = 5

/**
 * Git's smart http. Credentials go to their own origin and nowhere else; redirects stay within http and https, and only of
 * the first request, as git does it.
 */
export class HttpTransport implements HttpClient {
  readonly #place: Place
  readonly #settings: BuiltinSettings
  readonly #outgoing: Outgoing
  /** What ended a transfer: the library takes its error for the end of the answer. */
  broke: Error | undefined
  /** Where the repository is, after redirects. */
  #base: string

  constructor(place: Place, settings: BuiltinSettings) {
    this.#place = place
    this.#settings = settings
    this.#outgoing = new Outgoing(settings.outgoingAllow)
    this.#base = place.url.replace(/\/$/, '')
  }

  readonly request = async ({
    url,
    method = 'GET',
    headers = {},
    body,
  }: GitHttpRequest): Promise<GitHttpResponse> => {
    const { pathname, search } = new URL(url)
    const part = pathname.replace(/^\/it/, '') + search
    const payload = body === undefined ? undefined : Buffer.concat(await all(body))
    for (let hops = 0; hops <= mostRedirects; hops += 1) {
      const response = await this.#ask(new URL(this.#base + part), method, headers, payload)
      const { statusCode = 0, statusMessage = '', headers: fields } = response
      if (statusCode >= 300 && statusCode < 400 && fields.location !== undefined && method === 'GET') {
        response.destroy()
        this.#follow(fields.location, part)
        continue
      }
      return {
        url,
        method,
        statusCode,
        statusMessage,
        headers: fields as Record<string, string>,
        body: this.#watched(response),
      }
    }
    throw this.#fault('The requested URL returned error: 310 too many redirects')
  }

  close(): void {}

  async #ask(
    target: URL,
    method: string,
    headers: Record<string, string>,
    payload: Buffer | undefined,
  ): Promise<IncomingMessage> {
    const { credentials, url } = this.#place
    const { ca } = this.#settings
    const ours = credentials !== undefined && target.origin === new URL(url).origin
    let watch: TransferWatch | undefined
    try {
      return await this.#outgoing.request(target, {
        method,
        headers: {
          ...headers,
          'user-agent': 'git/rivetr',
          ...(ours ? { authorization: basic(credentials) } : {}),
        },
        body: payload,
        ca: ca === undefined ? undefined : [...rootCertificates, ca],
        onRequest: (request) => {
          watch = this.#watch(request)
        },
      })
    } catch (error) {
      throw this.#fault(lineOf(error, target.hostname))
    } finally {
      watch?.stop()
    }
  }

  async *#watched(response: IncomingMessage): AsyncIterableIterator<Uint8Array> {
    const watch = this.#watch(response)
    try {
      for await (const chunk of response) {
        watch.count(chunk.length)
        yield chunk
      }
    } catch (error) {
      this.broke = this.#fault(lineOf(error, undefined))
      throw this.broke
    } finally {
      watch.stop()
    }
  }

  #watch(stream: { destroy(error: Error): void }): TransferWatch {
    return new TransferWatch(this.#settings, () => stream.destroy(new Error('Operation too slow')))
  }

  #follow(location: string, part: string): void {
    const next = URL.parse(location, this.#base + part)
    if (next?.protocol !== 'https:' && next?.protocol !== 'http:')
      throw this.#fault(`transport '${next?.protocol.slice(0, -1)}' not allowed`)
    next.username = ''
    next.password = ''
    if (!next.href.endsWith(part)) throw this.#fault('invalid server response; it leads somewhere else')
    this.#base = next.href.slice(0, -part.length)
  }

  #fault(line: string): Error {
    return faultOf([line], this.#place.url)
  }
}

async function all(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return chunks
}

export function basic({ user, password }: { user: string; password: string }): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

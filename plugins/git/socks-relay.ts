import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Outgoing } from '@rivetr/sdk/kit'
import { lineOf } from './fault.ts'

/** RFC 1928 and RFC 1929. */
const version = 5
const withPassword = 2
const passwordVersion = 1
const connectCommand = 1
const addressTypes = { ipv4: 1, name: 3, ipv6: 4 } as const
const refused = 2

/**
 * The only way that git and its curl have to a server of http: a SOCKS proxy (RFC 1928) of one piece of work, which dials
 * what the policy permits, after redirects, too. Only who knows the password is let through; it stands in git's environment.
 */
export class SocksRelay {
  readonly #outgoing: Outgoing
  readonly #password = randomBytes(24).toString('hex')
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** Why what was asked for could not be reached, in the words of git's curl. */
  readonly faults: string[] = []

  private constructor(outgoing: Outgoing) {
    this.#outgoing = outgoing
    this.#server = createServer((socket) => {
      this.#keep(socket)
      this.#serve(socket).catch(() => socket.destroy())
    })
  }

  static async open(outgoing: Outgoing): Promise<SocksRelay> {
    const relay = new SocksRelay(outgoing)
    relay.#server.listen(0, '127.0.0.1')
    await once(relay.#server, 'listening')
    return relay
  }

  /** `socks5h`: names are looked up here, not by curl. */
  get env(): Record<string, string> {
    const { port } = this.#server.address() as AddressInfo
    const url = `socks5h://rivetr:${this.#password}@127.0.0.1:${port}`
    return { http_proxy: url, https_proxy: url, no_proxy: '' }
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => undefined) // its end is what counts
    socket.on('close', () => this.#sockets.delete(socket))
  }

  async #serve(client: Socket): Promise<void> {
    const [, methods = 0] = await take(client, 2)
    await take(client, methods)
    client.write(Uint8Array.of(version, withPassword))
    const [, nameLength = 0] = await take(client, 2)
    await take(client, nameLength)
    const [length = 0] = await take(client, 1)
    const known = (await take(client, length)).toString() === this.#password
    client.write(Uint8Array.of(passwordVersion, known ? 0 : 1))
    if (!known) return void client.end()

    const [, command, , kind = 0] = await take(client, 4)
    const host = await hostOf(client, kind)
    const port = (await take(client, 2)).readUInt16BE()
    if (command !== connectCommand || host === undefined) return void client.end(answer(7))
    let server: Socket
    try {
      server = await this.#outgoing.connect({ host, port })
    } catch (error) {
      this.faults.push(lineOf(error, host))
      return void client.end(answer(refused))
    }
    this.#keep(server)
    client.write(answer(0))
    client.pipe(server).pipe(client)
    client.on('close', () => server.destroy())
    server.on('close', () => client.destroySoon())
  }
}

/** Version, what became of it, reserved, and an address that nobody reads. */
function answer(code: number): Uint8Array {
  return Uint8Array.of(version, code, 0, addressTypes.ipv4, 0, 0, 0, 0, 0, 0)
}

async function hostOf(socket: Socket, kind: number): Promise<string | undefined> {
  if (kind === addressTypes.ipv4) return [...(await take(socket, 4))].join('.')
  if (kind === addressTypes.ipv6)
    return (await take(socket, 16)).toString('hex').replace(/(.{4})(?=.)/g, '$1:')
  if (kind !== addressTypes.name) return undefined
  const [length = 0] = await take(socket, 1)
  return (await take(socket, length)).toString('latin1')
}

/** So many bytes, however they come. */
async function take(socket: Socket, bytes: number): Promise<Buffer> {
  if (bytes === 0) return Buffer.alloc(0)
  for (;;) {
    const got = socket.read(bytes) as Buffer | null
    if (got?.length === bytes) return got
    if (got !== null || socket.readableEnded || socket.destroyed) throw new Error('ended early')
    await once(socket, 'readable')
  }
}

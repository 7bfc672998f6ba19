import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** Stands between Rivetr and a server of PostgreSQL, and cuts a connection at the moment when that is worst. */
export class PostgresRelay implements AsyncDisposable {
  readonly port: number
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #cut: 'before' | 'after' | undefined
  #away: 'refused' | 'silent' | undefined
  #leaveAt: string | undefined
  /** How often it did. */
  cuts = 0

  private constructor(server: Server, port: number) {
    this.#server = server
    this.port = port
  }

  static async start(serverPort: number): Promise<PostgresRelay> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    const relay = new PostgresRelay(server, address.port)
    server.on('connection', (client) => relay.#join(client, connect(serverPort, '127.0.0.1')))
    return relay
  }

  /** `before`: the server never sees it; `after`: it has done it, and the answer does not arrive. */
  cutNextCommit(when: 'before' | 'after'): void {
    this.#cut = when
  }

  /** Leaves, silent, as soon as a client sends this: what it asks for never comes, and nothing else does. */
  leaveAt(bytes: string): void {
    this.#leaveAt = bytes
  }

  /** `refused`: every connection is cut, and no other comes about; `silent`: they stand, and nothing comes over them. */
  leave(how: 'refused' | 'silent'): void {
    this.#away = how
    for (const socket of this.#sockets)
      if (how === 'refused') socket.destroy()
      else socket.pause()
  }

  /** `anew`: for connections that are made from now on; the others stay silent for ever. */
  comeBack(how: 'as it was' | 'anew' = 'as it was'): void {
    this.#away = undefined
    if (how === 'as it was') for (const socket of this.#sockets) socket.resume()
  }

  get away(): boolean {
    return this.#away !== undefined
  }

  #join(client: Socket, server: Socket): void {
    let swallowing = false
    for (const socket of [client, server]) {
      this.#sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        client.destroy()
        server.destroy()
      })
    }
    client.on('data', (bytes) => {
      if (this.#leaveAt !== undefined && bytes.includes(this.#leaveAt)) {
        this.#leaveAt = undefined
        this.leave('silent')
      }
      if (this.#away !== undefined) return // it was under way when everything went silent
      if (this.#cut !== undefined && bytes.includes('commit')) {
        this.cuts += 1
        const when = this.#cut
        this.#cut = undefined
        if (when === 'before') return client.destroy()
        swallowing = true
      }
      server.write(bytes)
    })
    server.on('data', (bytes) => {
      if (swallowing) client.destroy()
      else client.write(bytes)
    })
    if (this.#away === 'refused') client.destroy()
    if (this.#away === 'silent') for (const socket of [client, server]) socket.pause()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server.close(), 'close')
  }
}

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import type { TableRoute } from '@rivetr/sdk'
import { eventually } from '@rivetr/testing/suites/eventually'
import { proxyConfig } from '../config.ts'
import type { TableContent } from '../launcher/protocol.ts'
import { AccessLog } from './access-log.ts'
import { Holds } from './holds.ts'
import { Listener } from './listener.ts'
import { Requests } from './requests.ts'
import { SecureListener } from './secure-listener.ts'
import { Table } from './table.ts'

/** For tests: an edge in this process, with one app that is bytes on a socket. */
export class TestEdge {
  readonly app: RawApp
  readonly table: Table
  readonly holds = new Holds()
  readonly requests: Requests
  readonly listener: Listener
  readonly secure: SecureListener
  port = 0
  tlsPort = 0

  readonly accessLog: AccessLog | undefined

  private constructor(
    app: RawApp,
    config: Parameters<typeof proxyConfig.parse>[0] & object,
    folder?: string,
  ) {
    this.app = app
    const { httpsPort, ...rest } = proxyConfig.parse(config)
    const settings = { ...rest, tlsPort: httpsPort === 'off' ? null : httpsPort }
    this.table = new Table(settings)
    this.accessLog = folder === undefined ? undefined : new AccessLog(settings, folder)
    this.requests = new Requests(settings, this.table, this.holds, this.accessLog)
    this.secure = new SecureListener(settings, this.table, this.requests)
    this.listener = new Listener(settings, this.requests, this.secure)
  }

  static async start(
    reply: Reply,
    config: Parameters<typeof proxyConfig.parse>[0] & object = {},
    /** Where it writes its access log. */
    folder?: string,
  ): Promise<TestEdge> {
    const edge = new TestEdge(await RawApp.listen(reply), config, folder)
    edge.route()
    edge.port = await edge.listener.listen({ host: '127.0.0.1', port: 0 })
    edge.secure.useTicketSecret('secret of a test')
    edge.tlsPort = await edge.secure.listen({ host: '127.0.0.1', port: 0 })
    return edge
  }

  /** Routes `app.example.test` to the app, with what a test wants otherwise. */
  route(change: Partial<TableRoute> = {}, more: Omit<TableContent, 'routes'> = {}): void {
    const upstreams = [{ replica: 'r1', address: '127.0.0.1', port: this.app.port, weight: 1 }]
    this.table.replace({
      routes: [{ app: { id: 'a', name: 'a' }, host: 'App.Example.test', path: '/', upstreams, ...change }],
      ...more,
    })
    this.secure.tableChanged()
  }

  /** A second app, at `next.example.test`: what happens to the first must not touch it. Whoever asks for it closes it. */
  async addNext(reply: Reply, more: Omit<TableContent, 'routes'> = {}): Promise<RawApp> {
    const next = await RawApp.listen(reply)
    const route = (id: string, host: string, { port }: RawApp) => ({
      app: { id, name: id },
      host,
      path: '/',
      upstreams: [{ replica: id, address: '127.0.0.1', port, weight: 1 }],
    })
    this.table.replace({
      routes: [route('a', 'app.example.test', this.app), route('n', 'next.example.test', next)],
      ...more,
    })
    this.secure.tableChanged()
    return next
  }

  client(): RawClient {
    return new RawClient(connect(this.port, '127.0.0.1'))
  }

  /** A connection to the HTTPS port, once its handshake is over; rejects when that fails. */
  async secureClient(options: ConnectionOptions = {}, first = ''): Promise<SecureClient> {
    const below = connect(this.tlsPort, '127.0.0.1')
    if (first !== '') below.write(first)
    const socket = connectTls({
      socket: below,
      servername: 'app.example.test',
      rejectUnauthorized: false,
      ...options,
    })
    await once(socket, 'secureConnect')
    return new SecureClient(socket, below)
  }

  /** Sends the bytes, and resolves with all that came when the edge closed or `until` fits. */
  async exchange(
    bytes: string,
    until: RegExp = /\r\n\r\n[\s\S]*(?:0\r\n\r\n|<\/html>\n|ok)$/,
  ): Promise<string> {
    const client = this.client()
    client.send(bytes)
    await client.received(until)
    client.socket.destroy()
    return client.text
  }

  async close(): Promise<void> {
    await this.app.close()
    this.holds.releaseAll() // as an edge that drains does
    await this.listener.drain(10)
  }
}

/** What the app does with the bytes that it has got so far on a connection; called whenever more come. */
export type Reply = (received: string, socket: Socket) => void

/** An app that is nothing but a socket: it records bytes and sends bytes. */
export class RawApp {
  /** What came, per connection. */
  readonly connections: { text: string; readonly socket: Socket }[] = []
  port = 0
  readonly #server: Server

  private constructor(reply: Reply) {
    this.#server = createServer((socket) => {
      const connection = { text: '', socket }
      this.connections.push(connection)
      socket.on('error', () => undefined)
      socket.on('data', (chunk) => {
        connection.text += chunk.toString('latin1')
        reply(connection.text, socket)
      })
    })
  }

  static async listen(reply: Reply): Promise<RawApp> {
    const app = new RawApp(reply)
    await app.open()
    return app
  }

  /** Also again, after `close`, at the same port. */
  async open(): Promise<void> {
    this.#server.listen(this.port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.port = (this.#server.address() as AddressInfo).port
  }

  /** Everything that came, over all connections. */
  get text(): string {
    return this.connections.map(({ text }) => text).join('')
  }

  /** Ends the connections that there are, and what came on them. */
  forget(): void {
    for (const { socket } of this.connections.splice(0)) socket.destroy()
  }

  async close(): Promise<void> {
    this.#server.close()
    for (const { socket } of this.connections) socket.destroy()
    await once(this.#server, 'close')
  }
}

export class RawClient {
  text = ''
  closed = false
  readonly socket: Socket

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1')
    })
    socket.on('close', () => {
      this.closed = true
    })
  }

  send(bytes: string): void {
    this.socket.write(bytes, 'latin1')
  }

  received(pattern: RegExp): Promise<unknown> {
    return eventually(
      `bytes like ${pattern}, of ${JSON.stringify(this.text)}`,
      () => (pattern.test(this.text) || this.closed ? true : undefined),
      30_000,
    )
  }

  ended(): Promise<unknown> {
    return eventually('the end of the connection', () => (this.closed ? true : undefined), 30_000)
  }
}

export class SecureClient extends RawClient {
  declare readonly socket: TLSSocket
  readonly #below: Socket

  constructor(socket: TLSSocket, below: Socket) {
    super(socket)
    this.#below = below
  }

  reset(): void {
    this.#below.resetAndDestroy()
  }
}

/** Answers `ok` to every whole request; a body is whole when its framing says so. */
export const answerOk: Reply = (received, socket) => {
  const end = received.lastIndexOf('\r\n\r\n')
  if (end < 0) return
  const head = received.slice(0, received.indexOf('\r\n\r\n'))
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
  const whole = /\r\ntransfer-encoding: chunked/i.test(head)
    ? received.endsWith('0\r\n\r\n')
    : received.length - head.length - 4 >= length
  if (whole) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
}

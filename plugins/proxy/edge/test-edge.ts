import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { TableRoute } from '@rivetr/sdk'
import { eventually } from '@rivetr/testing/suites/eventually'
import { proxyConfig } from '../config.ts'
import { Holds } from './holds.ts'
import { Listener } from './listener.ts'
import { Table } from './table.ts'

/** For tests: an edge in this process, with one app that is bytes on a socket. */
export class TestEdge {
  readonly app: RawApp
  readonly table: Table
  readonly holds = new Holds()
  readonly listener: Listener
  port = 0

  private constructor(app: RawApp, config: Parameters<typeof proxyConfig.parse>[0] & object) {
    this.app = app
    const settings = proxyConfig.parse(config)
    this.table = new Table(settings)
    this.listener = new Listener(settings, this.table, this.holds)
  }

  static async start(
    reply: Reply,
    config: Parameters<typeof proxyConfig.parse>[0] & object = {},
  ): Promise<TestEdge> {
    const edge = new TestEdge(await RawApp.listen(reply), config)
    edge.route()
    edge.port = await edge.listener.listen({ host: '127.0.0.1', port: 0 })
    return edge
  }

  /** Routes `app.example.test` to the app, with what a test wants otherwise. */
  route(change: Partial<TableRoute> = {}): void {
    const upstreams = [{ replica: 'r1', address: '127.0.0.1', port: this.app.port, weight: 1 }]
    this.table.replace({
      routes: [{ app: { id: 'a', name: 'a' }, host: 'App.Example.test', path: '/', upstreams, ...change }],
    })
  }

  client(): RawClient {
    return new RawClient(connect(this.port, '127.0.0.1'))
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
    await this.listener.drain(10)
  }
}

/** What the app does with the bytes that it has got so far on a connection; called whenever more come. */
export type Reply = (received: string, socket: Socket) => void

/** An app that is nothing but a socket: it records bytes and sends bytes. */
export class RawApp {
  /** What came, per connection. */
  readonly connections: { text: string; readonly socket: Socket }[] = []
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
    app.#server.listen(0, '127.0.0.1')
    await once(app.#server, 'listening')
    return app
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Everything that came, over all connections. */
  get text(): string {
    return this.connections.map(({ text }) => text).join('')
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
      5_000,
    )
  }

  ended(): Promise<unknown> {
    return eventually('the end of the connection', () => (this.closed ? true : undefined), 5_000)
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

import { type IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock, RouteSocket } from '@rivetr/sdk'
import type { Context } from 'koa'
import { type WebSocket, WebSocketServer } from 'ws'

/** Larger messages end the connection: what people type is small. */
const longestMessageBytes = 64 * 1024
/** So many messages wait for who reads them; then the client has to. */
const mostWaiting = 64
/** A client that does not answer within this time is gone. */
const pingMs = 20_000

const sockets = new WebSocketServer({
  noServer: true,
  maxPayload: longestMessageBytes,
  perMessageDeflate: false,
  clientTracking: false,
})
const asked = new WeakMap<IncomingMessage, { readonly socket: Duplex; readonly head: Buffer }>()

/**
 * Takes requests for an upgrade the way of all others, so that the same is asked of them; the route takes the socket over in
 * the end. Until then every answer is an ordinary one, and the connection ends with it.
 */
export function takeUpgrades(
  server: Server,
  handle: (request: IncomingMessage, response: ServerResponse) => unknown,
): void {
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => {}) // whoever writes to it learns of it
    const response = new ServerResponse(request)
    response.assignSocket(socket as Parameters<ServerResponse['assignSocket']>[0])
    response.shouldKeepAlive = false
    response.once('finish', () => socket.end())
    if (/^websocket$/i.test(request.headers.upgrade ?? '')) asked.set(request, { socket, head })
    void handle(request, response)
  })
}

/** Whether the client asks for a WebSocket. */
export function wantsSocket(ctx: Context): boolean {
  return ctx.method === 'GET' && asked.has(ctx.req)
}

/** Shakes hands. Nothing of the answer may have been sent. */
export function openSocket(ctx: Context, clock: Clock): Promise<OpenSocket> {
  const { socket, head } = asked.get(ctx.req) as { socket: Duplex; head: Buffer }
  ctx.respond = false
  ctx.res.detachSocket(socket as Parameters<ServerResponse['detachSocket']>[0])
  return new Promise((resolve, reject) => {
    socket.once('close', () => reject(new Error('the client went away before its WebSocket was open')))
    sockets.handleUpgrade(ctx.req, socket, head, (webSocket) => resolve(new OpenSocket(webSocket, clock)))
  })
}

/** A WebSocket (RFC 6455) as a route has it. */
export class OpenSocket implements RouteSocket {
  readonly incoming: AsyncIterable<string | Uint8Array>
  readonly #socket: WebSocket
  readonly #gone = new AbortController()

  constructor(socket: WebSocket, clock: Clock) {
    this.#socket = socket
    socket.on('error', () => {}) // `close` follows
    socket.once('close', () => this.#gone.abort())
    this.incoming = incomingOf(socket, this.gone)
    let answered = true
    socket.on('pong', () => {
      answered = true
    })
    let takeBack = () => {}
    const ping = () => {
      if (!answered) return socket.terminate()
      answered = false
      socket.ping()
      takeBack = clock.after(pingMs, ping)
    }
    takeBack = clock.after(pingMs, ping)
    this.#gone.signal.addEventListener('abort', () => takeBack())
  }

  /** Aborts when the client has gone. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  send(message: string | Uint8Array): Promise<void> {
    return new Promise((resolve, reject) =>
      this.#socket.send(message, (error) => (error ? reject(error) : resolve())),
    )
  }

  /** `code` of RFC 6455 §7.4; the reason is cut to what a close frame holds. */
  close(code: number, reason: string): void {
    const bytes = Buffer.from(reason)
    this.#socket.close(code, bytes.length <= 123 ? reason : `${bytes.subarray(0, 110).toString('latin1')}…`)
  }
}

/** From now on, so that nothing is lost of what comes before somebody reads. */
function incomingOf(socket: WebSocket, gone: AbortSignal): AsyncIterable<string | Uint8Array> {
  const waiting: (string | Uint8Array)[] = []
  let wake = Promise.withResolvers<void>()
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    waiting.push(isBinary ? data : data.toString('utf8'))
    if (waiting.length >= mostWaiting) socket.pause()
    wake.resolve()
  })
  gone.addEventListener('abort', () => wake.resolve())
  return read()

  async function* read(): AsyncGenerator<string | Uint8Array> {
    for (;;) {
      for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) yield one
      if (gone.aborted) return
      socket.resume()
      await wake.promise
      wake = Promise.withResolvers()
    }
  }
}

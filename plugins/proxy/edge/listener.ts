import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net'
import type { TableRoute } from '@rivetr/sdk'
import type { EdgeSettings } from '../launcher/protocol.ts'
import { answerError, answerFixed, answerForServer, type ErrorStatus } from './answer.ts'
import type { Endpoint } from './endpoint.ts'
import { forward } from './forward.ts'
import { type ForwardingFields, plainAddress, TrustedProxies } from './forwarding.ts'
import type { Holds } from './holds.ts'
import { type Target, targetOf } from './host.ts'
import * as http from './node-http.ts'
import { Presence } from './presence.ts'
import { requestIdOf } from './request-id.ts'
import type { Table } from './table.ts'
import { isWebSocket, upgrade } from './upgrade.ts'

/** How often connections without a request are looked for while draining. */
const idleCheckMs = 1_000

/** Takes requests from clients: finds the route, waits where the app is held, chooses the endpoint, forwards. */
export class Listener {
  requests = 0
  #drained: Promise<void> | undefined
  readonly #server: Server
  readonly #settings: EdgeSettings
  readonly #table: Table
  readonly #holds: Holds
  readonly #trusted: TrustedProxies
  readonly #presence: Presence

  constructor(settings: EdgeSettings, table: Table, holds: Holds) {
    this.#settings = settings
    this.#table = table
    this.#holds = holds
    this.#trusted = new TrustedProxies(settings.trustedProxies)
    this.#server = http.createServer({
      headersTimeout: settings.headersTimeoutMs,
      requestTimeout: 0, // an upload may take as long as it moves: see `#boundUpload`
      keepAliveTimeout: settings.keepAliveTimeoutMs,
      connectionsCheckingInterval: Math.min(settings.headersTimeoutMs, 5_000),
      maxHeaderSize: 16 * 1024,
      insecureHTTPParser: false,
      noDelay: true,
      keepAlive: true,
      shouldUpgradeCallback: isWebSocket,
    })
    this.#presence = new Presence(this.#server)
    this.#server.on('request', (req, res) => this.#request(req, res))
    this.#server.on('upgrade', (req, socket, head) => this.#upgrade(req, socket as Socket, head))
  }

  /** Resolves with the port. */
  listen(on: { fd: number } | { host: string; port: number }): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    this.#server.once('error', reject)
    this.#server.listen(on, () => resolve((this.#server.address() as AddressInfo).port))
    return promise
  }

  /** Stops accepting, and resolves when the last connection has ended or was cut at the limit. */
  drain(limitMs: number): Promise<void> {
    this.#drained ??= this.#drain(limitMs)
    return this.#drained
  }

  async #drain(limitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    // Not `http.Server.close`, which cuts connections whose first request has not been read yet.
    NetServer.prototype.close.call(this.#server, () => resolve())
    const idleTimer = setInterval(() => this.#server.closeIdleConnections(), idleCheckMs)
    const limitTimer = setTimeout(resolve, limitMs)
    await promise
    clearInterval(idleTimer)
    clearTimeout(limitTimer)
    this.#server.closeAllConnections()
  }

  #request(req: IncomingMessage, res: ServerResponse): void {
    this.requests += 1
    if (this.#drained !== undefined) res.shouldKeepAlive = false
    this.#presence.watch(req.socket, res)
    this.#boundUpload(req)
    const requestId = requestIdOf(req.headers['x-request-id'])
    if (req.url === '*') {
      answerForServer(res)
      return
    }
    const fail = (status: ErrorStatus) => answerError(req, res, status, requestId)
    this.#resolve(req, res, fail, (target, route) => {
      if (answerFixed(route, res)) return
      const endpoint = this.#table.choose(route)
      if (endpoint === undefined) return fail(503)
      countUntilClosed(endpoint, res)
      forward({
        req,
        res,
        route,
        endpoint,
        path: target.path,
        authority: target.authority,
        requestId,
        forwarding: this.#forwardingFields(req, target),
        firstByteTimeoutMs: this.#settings.firstByteTimeoutMs,
      })
    })
  }

  #upgrade(req: IncomingMessage, socket: Socket, head: Buffer): void {
    this.requests += 1
    socket.on('error', () => undefined) // 'close' follows
    const requestId = requestIdOf(req.headers['x-request-id'])
    // Nothing but an error is written through it; an upgraded connection belongs to `upgrade`.
    const res = new http.ServerResponse(req)
    res.shouldKeepAlive = false
    res.assignSocket(socket)
    const fail = (status: ErrorStatus) => {
      if (socket.bytesWritten > 0 || socket.destroyed) return void socket.destroy()
      answerError(req, res, status, requestId)
      socket.destroySoon()
    }
    this.#resolve(req, socket, fail, (target, route) => {
      const endpoint = this.#table.choose(route)
      if (endpoint === undefined) return fail(503)
      res.detachSocket(socket)
      countUntilClosed(endpoint, socket)
      const { connectTimeoutMs } = this.#settings
      const forwarding = this.#forwardingFields(req, target)
      upgrade(
        {
          req,
          socket,
          head,
          endpoint,
          path: target.path,
          authority: target.authority,
          requestId,
          forwarding,
          connectTimeoutMs,
        },
        () => {
          if (!socket.destroyed && socket.bytesWritten === 0) res.assignSocket(socket)
          fail(502)
        },
      )
    })
  }

  /** Finds the route and calls `proceed`; of a held app once it is released, with the table that is in force by then. */
  #resolve(
    req: IncomingMessage,
    client: ServerResponse | Socket,
    fail: (status: 400 | 404 | 503) => void,
    proceed: (target: Target, route: TableRoute) => void,
  ): void {
    const target = targetOf(req.url ?? '/', req.headers.host)
    const route = target && this.#table.find(target.host, target.path)
    if (hasSeveralHosts(req)) fail(400)
    else if (!this.#table.known) fail(503)
    else if (target === undefined || route === undefined) fail(404)
    else if (this.#holds.has(route.app.id))
      this.#wait(route.app.id, client, fail, () => this.#resolve(req, client, fail, proceed))
    else proceed(target, route)
  }

  #wait(
    app: string,
    client: ServerResponse | Socket,
    fail: (status: 503) => void,
    proceed: () => void,
  ): void {
    const leave = this.#holds.wait(app, () => {
      client.off('close', leaveQueue)
      proceed()
    })
    const leaveQueue = () => leave?.()
    if (leave === undefined) fail(503)
    else client.once('close', leaveQueue)
  }

  #forwardingFields(req: IncomingMessage, target: Target): ForwardingFields {
    return this.#trusted.fieldsFor(plainAddress(req.socket.remoteAddress ?? ''), 'http', target.authority, {
      for: fieldOf(req, 'x-forwarded-for'),
      proto: fieldOf(req, 'x-forwarded-proto'),
      host: fieldOf(req, 'x-forwarded-host'),
    })
  }

  /** An upload that stands still is cut; the socket's own timer runs only while one is under way. */
  #boundUpload(req: IncomingMessage): void {
    if (req.headers['content-length'] === undefined && req.headers['transfer-encoding'] === undefined) return
    const { socket } = req
    socket.setTimeout(this.#settings.uploadIdleTimeoutMs)
    req.once('end', () => socket.setTimeout(0))
  }
}

function countUntilClosed(endpoint: Endpoint, client: ServerResponse | Socket): void {
  endpoint.inFlight += 1
  endpoint.served += 1
  client.once('close', () => {
    endpoint.inFlight -= 1
  })
}

/** node:http keeps the first of several Host fields; an app may take the last (RFC 9112 §3.2: answer 400). */
function hasSeveralHosts({ rawHeaders }: IncomingMessage): boolean {
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length === 4 && name.toLowerCase() === 'host') hosts += 1
  }
  return hosts > 1
}

function fieldOf(req: IncomingMessage, name: string): string | undefined {
  const value = req.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { EdgeSettings } from '../launcher/protocol.ts'
import { Http1Response } from './client-response.ts'
import { TrustedProxies } from './forwarding.ts'
import * as http from './node-http.ts'
import { Presence } from './presence.ts'
import { expectProxyHeader } from './proxy-protocol.ts'
import { refusalOf } from './request-guard.ts'
import type { Requests } from './requests.ts'
import type { SecureListener } from './secure-listener.ts'
import { Turns } from './turns.ts'
import { isWebSocket } from './upgrade.ts'
import { Http1UpgradeClient } from './upgrade-clients.ts'

/** How often connections without a request are looked for while draining. */
const idleCheckMs = 1_000

/** Accepts the connections of clients and reads their requests, until it drains. */
export class Listener {
  #drained: Promise<void> | undefined
  readonly #limit = Promise.withResolvers<void>()
  readonly #server: Server
  readonly #requests: Requests
  readonly #presence: Presence
  readonly #secure: SecureListener | undefined
  readonly #turns = new Turns()
  readonly #begin = (req: IncomingMessage, res: Http1Response) => this.#request(req, res)

  /** Connections that come by `secure` are served like its own. */
  constructor(settings: EdgeSettings, requests: Requests, secure?: SecureListener) {
    this.#requests = requests
    this.#server = http.createServer({
      ServerResponse: Http1Response as typeof ServerResponse,
      headersTimeout: settings.headersTimeoutMs,
      requestTimeout: 0, // an upload may take as long as it moves: see `Requests`
      keepAliveTimeout: settings.keepAliveTimeoutMs,
      connectionsCheckingInterval: Math.min(settings.headersTimeoutMs, 5_000),
      maxHeaderSize: 16 * 1024,
      insecureHTTPParser: false,
      noDelay: true,
      keepAlive: true,
      requireHostHeader: false, // Node would answer in its own name: see `refusalOf`
      // Of one that came before earlier ones were answered, Node would tell at once; it is taken for plain HTTP.
      shouldUpgradeCallback: (req) => isWebSocket(req) && !this.#turns.areTaken(req.socket),
    })
    this.#presence = new Presence(this.#server)
    this.#secure = secure
    if (secure !== undefined) secure.onSecured = (socket) => this.#server.emit('connection', socket)
    const take = (req: IncomingMessage, res: ServerResponse) => this.#take(req, res as Http1Response)
    this.#server.on('request', take)
    // Else Node answers these itself: with `100 Continue` before the app was asked, and with 417.
    this.#server.on('checkContinue', take)
    this.#server.on('checkExpectation', take)
    const takeUpgrade = (req: IncomingMessage, socket: Duplex, head: Buffer) =>
      requests.takeUpgrade(req, new Http1UpgradeClient(req, socket as Socket, head), refusalOf(req))
    this.#server.on('upgrade', takeUpgrade)
    this.#server.on('connect', (req, socket, head) => {
      if (this.#turns.areTaken(req.socket)) socket.destroy()
      else takeUpgrade(req, socket, head) // to refuse it
    })
    if (settings.proxyProtocol) expectProxyHeader(this.#server, new TrustedProxies(settings.trustedProxies))
  }

  /** Resolves with the port. */
  listen(on: { fd: number } | { host: string; port: number }): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    this.#server.once('error', reject)
    this.#server.listen(on, () => resolve((this.#server.address() as AddressInfo).port))
    return promise
  }

  /** Stops accepting, and resolves when the last connection has ended or was cut at the limit: of several the first. */
  drain(limitMs: number): Promise<void> {
    const timer = setTimeout(this.#limit.resolve, limitMs)
    this.#drained ??= this.#drain()
    return this.#drained.finally(() => clearTimeout(timer))
  }

  async #drain(): Promise<void> {
    const closed = new Promise<void>((done) => {
      // Not `http.Server.close`, which cuts connections whose first request has not been read yet.
      NetServer.prototype.close.call(this.#server, () => done())
    })
    const idleTimer = setInterval(() => this.#server.closeIdleConnections(), idleCheckMs)
    await Promise.race([this.#limit.promise, Promise.all([closed, this.#secure?.close()])])
    clearInterval(idleTimer)
    this.#server.closeAllConnections()
    this.#secure?.cutAll()
  }

  #take(req: IncomingMessage, res: Http1Response): void {
    if (this.#turns.takes(req, res, this.#begin)) this.#request(req, res)
  }

  #request(req: IncomingMessage, res: Http1Response): void {
    // What follows an upgrade that was not taken, Node drops as far as it had come together with it.
    if (this.#drained !== undefined || req.headers.upgrade !== undefined) res.shouldKeepAlive = false
    this.#presence.watch(req.socket, res)
    this.#requests.take(req, res, refusalOf(req))
  }
}

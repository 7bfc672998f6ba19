import type { Http2Server, ServerHttp2Session, ServerOptions } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import type { EdgeSettings } from '../launcher/protocol.ts'
import { hostOf } from './host.ts'
import { asHttp1, Http2Request, Http2Response } from './http2-messages.ts'
import * as http from './node-http.ts'
import { type Refusal, refusalOfAny } from './request-guard.ts'
import type { Requests } from './requests.ts'
import type { Table } from './table.ts'
import { Http2UpgradeClient } from './upgrade-clients.ts'

const { createServer } = process.getBuiltinModule('node:http2')

/** As many requests of one client at once; RFC 9113 §6.5.2 wants no less than 100. */
const streamsLimit = 128
/** As over HTTP/1.1; beyond it 431, far beyond it the stream is reset while its fields still come. */
const fieldsLimitBytes = 16 * 1024
const hardFieldsLimitBytes = 64 * 1024

/**
 * What a client may send ahead of what an app has read, of one request and of all (RFC 9113 §5.2). With the 64 KiB that
 * HTTP/2 begins with, an upload from 20 ms away is four times slower. Node takes what came off the window of the
 * connection at once, so that a request that stands still holds up no other; what one connection may fill is the window
 * of a request times `streamsLimit`.
 */
const requestWindowBytes = 256 * 1024
const connectionWindowBytes = 4 * 1024 * 1024

/**
 * The connections of clients that speak HTTP/2. What floods there are is counted by nghttp2, below node:http2: resets of
 * streams (CVE-2023-44487: 1,000 at once and 33 a second), CONTINUATION, empty frames, SETTINGS and PING. Who exceeds
 * them loses the connection.
 */
export class Http2Sessions {
  readonly #open = new Set<ServerHttp2Session>()
  #draining = false
  readonly #server: Http2Server
  readonly #requests: Requests
  readonly #table: Table

  constructor(settings: EdgeSettings, requests: Requests, table: Table) {
    this.#requests = requests
    this.#table = table
    const messages = { Http2ServerRequest: Http2Request, Http2ServerResponse: Http2Response }
    this.#server = createServer({
      ...(messages as Pick<ServerOptions, keyof typeof messages>),
      settings: {
        maxConcurrentStreams: streamsLimit,
        maxHeaderListSize: hardFieldsLimitBytes,
        enableConnectProtocol: true, // WebSocket: RFC 8441
        initialWindowSize: requestWindowBytes,
      },
      maxHeaderListPairs: 1_000,
      maxSendHeaderBlockLength: 2 * hardFieldsLimitBytes,
    })
    this.#server.on('session', (session) => this.#opened(session, settings.keepAliveTimeoutMs))
    this.#server.on('sessionError', () => undefined) // it is closed by then
    const take = (req: object, res: object) => this.#request(req as Http2Request, res as Http2Response)
    this.#server.on('request', take)
    // Else Node answers these itself: see `Listener`.
    this.#server.on('checkContinue', take)
    this.#server.on('checkExpectation', take)
  }

  take(socket: TLSSocket): void {
    socket.allowHalfOpen = false // a client that sends no more has said so by GOAWAY, or is gone
    this.#server.emit('connection', socket)
  }

  /** Tells clients to send no more (GOAWAY); each connection ends with its last request. */
  drain(): void {
    this.#draining = true
    for (const session of this.#open) session.close()
  }

  #opened(session: ServerHttp2Session, idleLimitMs: number): void {
    this.#open.add(session)
    session.setLocalWindowSize(connectionWindowBytes)
    let streams = 0
    session.on('stream', (stream) => {
      streams += 1
      stream.once('close', () => {
        streams -= 1
      })
    })
    session.setTimeout(idleLimitMs, () => {
      if (streams === 0) session.close()
    })
    session.once('close', () => this.#open.delete(session))
    if (this.#draining) session.close()
  }

  #request(http2Req: Http2Request, http2Res: Http2Response): void {
    const [req, res] = asHttp1(http2Req, http2Res)
    const refusal = this.#refusalOf(http2Req) ?? refusalOfAny(req)
    if (req.headers.upgrade === undefined) this.#requests.take(req, res, refusal)
    else this.#requests.takeUpgrade(req, new Http2UpgradeClient(http2Res), refusal)
  }

  /** What HTTP/2 has besides the rest. */
  #refusalOf(req: Http2Request): Refusal | undefined {
    if (!isWellFormed(req)) return { status: 400, reason: 'The request is not well-formed HTTP/2.' }
    if (!http.METHODS.includes(req.method)) return { status: 501, reason: 'The method is not known here.' }
    if ((req.headers.upgrade ?? 'websocket') !== 'websocket')
      return { status: 501, reason: 'The only protocol that is taken is websocket.' }
    if (req.fieldsBytes > fieldsLimitBytes)
      return { status: 431, reason: 'The fields of the request are too large.' }
    if (this.#isMisdirected(req)) return { status: 421, reason: 'This connection is not for this address.' }
    return undefined
  }

  /**
   * Clients use one connection for all hosts of its certificate (RFC 9113 §9.1.1). A host that has another certificate is
   * asked for on a connection of its own, so that its client sees that one (RFC 9110 §7.4).
   */
  #isMisdirected({ headers, stream }: Http2Request): boolean {
    const shownFor = (stream.session?.socket as Partial<TLSSocket> | undefined)?.servername
    if (!shownFor) return false
    const { certificates } = this.#table
    return certificates.find(hostOf(headers.host ?? '')) !== certificates.find(hostOf(shownFor))
  }
}

/** One authority, where both ways of saying it are used (RFC 9113 §8.3.1); a target as Node's parser of HTTP/1.1 lets through. */
function isWellFormed({ authority, headers, method, scheme, url }: Http2Request): boolean {
  if (authority !== '' && authority !== headers.host) return false
  if (method === 'CONNECT') return true
  return /^https?$/.test(scheme) && /^(?:\/[\x21-\x7e]*|\*)$/.test(url)
}

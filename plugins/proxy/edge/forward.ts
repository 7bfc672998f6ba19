import type { IncomingMessage } from 'node:http'
import type { TableRoute } from '@rivetr/sdk'
import { answerError } from './answer.ts'
import { answerFields } from './answer-fields.ts'
import type { ClientResponse } from './client-response.ts'
import type { Carried, Connection, Loss } from './connection.ts'
import type { Endpoint } from './endpoint.ts'
import type { Fields } from './fields.ts'
import type { ForwardingFields } from './forwarding.ts'
import { STATUS_CODES } from './node-http.ts'
import { waitsForContinue } from './request-guard.ts'
import { type Framing, framingOf, requestHead, trailerSection } from './request-head.ts'
import { takesTrailers, trailersOf } from './trailers.ts'
import type { Visit } from './visit.ts'

/** One request on its way to an endpoint. */
export interface Exchange {
  readonly req: IncomingMessage
  readonly res: ClientResponse
  readonly route: TableRoute
  readonly endpoint: Endpoint
  /** Path and query, byte for byte. */
  readonly path: string
  readonly authority: string
  readonly requestId: string
  readonly visit: Visit
  readonly forwarding: ForwardingFields
  readonly firstByteTimeoutMs: number
}

/** RFC 9110 §9.2.2: doing it twice is doing it once. */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])
/** Node writes no such reason, llhttp reads it. */
const notInReason = /[^\t\x20-\x7e\x80-\xff]/
/** So much of a body goes out in one piece with the head, and is cheaper as a string than as a buffer of its own. */
const smallBytes = 8 * 1024

/** Carries the request to its endpoint and the answer back, as streams. Nothing is kept in memory. */
export function forward(exchange: Exchange): void {
  const { req, res, endpoint, requestId } = exchange
  const framing = framingOf(req)
  const head = requestHead(exchange, framing)
  if (head === undefined) answerError(req, res, 400, requestId)
  else endpoint.connections.send(new AnswerPath(exchange, framing, head))
}

/** Takes the answer of the endpoint to the client. */
class AnswerPath implements Carried {
  gone = false
  readonly method: string
  readonly head: string
  readonly body: IncomingMessage | undefined
  readonly chunked: boolean
  readonly firstByteTimeoutMs: number
  readonly maxBodyBytes: number
  #connection: Connection | undefined
  #retried = false
  /** The client waits for it, once. */
  #mayContinue: boolean
  #waitsForRoom = false
  /** Of the answer, until its head is written. */
  #status = 0
  #reason = ''
  #fields: Fields = []
  /** What came of the body with the head. */
  #text = ''
  readonly #exchange: Exchange

  constructor(exchange: Exchange, framing: Framing, head: string) {
    this.#exchange = exchange
    const { req, res, firstByteTimeoutMs } = exchange
    this.method = req.method ?? ''
    this.head = head
    this.body = framing === 'none' ? undefined : req
    this.chunked = framing === 'chunked'
    this.firstByteTimeoutMs = firstByteTimeoutMs
    this.#mayContinue = waitsForContinue(req)
    this.maxBodyBytes = exchange.route.maxBodyBytes ?? Infinity
    exchange.endpoint.inFlight += 1
    exchange.endpoint.served += 1
    res.on('close', () => this.#closed())
  }

  onCarried(connection: Connection): void {
    this.#connection = connection
  }

  onTaken(bytes: number): void {
    this.#exchange.visit.bytesIn += bytes
  }

  trailerSection(): string {
    return trailerSection(this.#exchange)
  }

  onInterim(status: number, reason: string, came: Fields): void {
    const { req, res } = this.#exchange
    if (res.headersSent) return
    if (status !== 100) res.writeInterim(status, reasonOf(status, reason), answerFields(came, {}, status))
    else if (this.#mayContinue && !req.complete) res.writeContinue()
    if (status === 100) this.#mayContinue = false
  }

  onHead(status: number, reason: string, fields: Fields): void {
    this.#status = status
    this.#reason = reasonOf(status, reason)
    this.#fields = fields
  }

  onBody(bytes: Buffer, start: number, end: number): void {
    this.#exchange.visit.bytesOut += end - start
    const small = end - start + this.#text.length <= smallBytes
    if (this.#status !== 0 && small) this.#text += bytes.toString('latin1', start, end)
    else {
      this.#flush()
      this.#write(small ? bytes.toString('latin1', start, end) : Buffer.from(bytes.subarray(start, end)))
    }
  }

  /** An event stream's head must not wait for its first event. */
  onRead(): void {
    if (this.#status !== 0) this.#flush()
  }

  onEnd(came: Fields): void {
    this.#connection = undefined
    const { req, res } = this.#exchange
    const trailers = came.length > 0 && takesTrailers(req) ? trailersOf(came) : []
    // It is all here: its length says so in fewer bytes and calls than chunks would, after which alone trailers can come.
    this.#begin(trailers.length === 0 ? this.#text.length : undefined)
    if (trailers.length > 0) res.addTrailers(pairsOf(trailers))
    if (this.#text === '') res.end()
    else res.end(this.#text, 'latin1')
    // Answered before the upload had ended: read the rest, or the client may lose the answer with the connection.
    if (!req.complete) req.resume()
  }

  onLost(loss: Loss): void {
    this.#connection = undefined
    if (this.gone) return
    const { req, res, endpoint, requestId, route, visit } = this.#exchange
    if (loss === 'unheard' && !this.#retried && this.body === undefined && idempotent.has(this.method)) {
      this.#retried = true
      endpoint.connections.sendFresh(this)
      return
    }
    visit.error ??= loss
    // The rest is missing: no final chunk, no clean end (RFC 9112 §8).
    if (res.headersSent) res.destroy()
    else answerError(req, res, statusOf(loss), requestId, route)
    if (!req.complete) req.resume()
  }

  #flush(): void {
    const begins = this.#status !== 0
    this.#begin()
    const text = this.#text
    this.#text = ''
    if (text !== '') this.#write(text)
    else if (begins && this.method !== 'HEAD') this.#exchange.res.flushHeaders()
  }

  /** Writes the head, unless that was done. Node keeps it until there is more to send. */
  #begin(wholeBytes?: number): void {
    const status = this.#status
    if (status === 0) return
    this.#status = 0
    const { req, res, route, visit } = this.#exchange
    const bare = this.method === 'HEAD' || status === 204 || status === 304
    const withTrailers = !bare && takesTrailers(req)
    let fields = answerFields(this.#fields, route, status, bare ? undefined : wholeBytes, withTrailers)
    if (visit.taps !== undefined) fields = visit.taps.response(visit, status, fields)
    res.sendDate = false // the app's own, or none
    res.writeHead(status, this.#reason, fields as never)
  }

  #write(data: string | Buffer): void {
    const { res } = this.#exchange
    // What was read before the pause is still parsed: one listener is enough for all of it.
    if (res.write(data, 'latin1') || this.#waitsForRoom) return
    this.#waitsForRoom = true
    this.#connection?.pause()
    res.once('drain', () => {
      this.#waitsForRoom = false
      this.#connection?.resume()
    })
  }

  #closed(): void {
    this.#exchange.endpoint.inFlight -= 1
    if (this.#exchange.res.writableFinished) return
    this.gone = true
    this.#connection?.abandon()
    this.#connection = undefined
  }
}

function reasonOf(status: number, reason: string): string {
  return (notInReason.test(reason) ? '' : reason) || STATUS_CODES[status] || ''
}

/** As Node takes them. */
function pairsOf(trailers: Fields): [string, string][] {
  const pairs: [string, string][] = []
  for (let i = 0; i + 1 < trailers.length; i += 2)
    pairs.push([trailers[i] as string, trailers[i + 1] as string])
  return pairs
}

function statusOf(loss: Loss): 413 | 502 | 504 {
  if (loss === 'large') return 413
  return loss === 'late' || loss === 'unanswered' ? 504 : 502
}

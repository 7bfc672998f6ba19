import type { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough } from 'node:stream'
import type { TableRoute } from '@rivetr/sdk'
import type { Dispatcher } from 'undici'
import { answerError } from './answer.ts'
import type { Endpoint } from './endpoint.ts'
import { type Fields, isHopByHop, namedInConnection } from './fields.ts'
import type { ForwardingFields } from './forwarding.ts'
import { STATUS_CODES } from './node-http.ts'

/** One request on its way to an endpoint. */
export interface Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly route: TableRoute
  readonly endpoint: Endpoint
  /** Path and query, byte for byte. */
  readonly path: string
  readonly authority: string
  readonly requestId: string
  readonly forwarding: ForwardingFields
  readonly firstByteTimeoutMs: number
}

/** RFC 9110 §9.2.2: doing it twice is doing it once. */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** Carries the request to its endpoint and the answer back, as streams. Nothing is kept in memory. */
export function forward(exchange: Exchange): void {
  const { req, endpoint } = exchange
  const body = hasBody(req) ? req.pipe(new PassThrough()) : null
  const request: Dispatcher.DispatchOptions = {
    method: req.method as Dispatcher.HttpMethod,
    path: exchange.path,
    headers: requestFields(exchange, body !== null),
    body,
  }
  const retry =
    body === null && idempotent.has(req.method ?? '')
      ? () => endpoint.freshConnection().dispatch(request, answer)
      : undefined
  const answer = new AnswerPath(exchange, body !== null, retry)
  endpoint.pool.dispatch(request, answer)
}

/** What the parser found, not what the method suggests (RFC 9112 §6.3): a DELETE may have a body, a POST none. */
function hasBody(req: IncomingMessage): boolean {
  const length = req.headers['content-length']
  return req.headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) > 0)
}

function requestFields({ req, authority, requestId, forwarding }: Exchange, withBody: boolean): Fields {
  const named = namedInConnection(req.headers.connection ?? '')
  const fields: Fields = ['host', authority]
  const raw = req.rawHeaders
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string
    const lower = name.toLowerCase()
    if (isHopByHop(lower, named) || isReplaced(lower) || (lower === 'content-length' && !withBody)) continue
    fields.push(name, raw[i + 1] as string)
  }
  fields.push(
    'x-forwarded-for',
    forwarding.for,
    'x-forwarded-proto',
    forwarding.proto,
    'x-forwarded-host',
    forwarding.host,
    'x-request-id',
    requestId,
  )
  return fields
}

/** Fields that this proxy sets itself, and their kin, which an app could take for the proxy's word. */
export function isReplaced(name: string): boolean {
  return (
    name === 'host' ||
    name === 'expect' || // node:http has answered it
    name === 'x-request-id' ||
    name === 'x-real-ip' ||
    name === 'forwarded' ||
    name.startsWith('x-forwarded-')
  )
}

/** Takes the answer of the endpoint to the client. undici calls it; each method follows one event. */
class AnswerPath implements Dispatcher.DispatchHandler {
  #controller: Dispatcher.DispatchController | undefined
  #firstByteTimer: NodeJS.Timeout | undefined
  #clientGone = false
  #late = false
  #retry: (() => void) | undefined
  readonly #exchange: Exchange
  readonly #withBody: boolean

  constructor(exchange: Exchange, withBody: boolean, retry: (() => void) | undefined) {
    this.#exchange = exchange
    this.#withBody = withBody
    this.#retry = retry
    exchange.res.once('close', () => this.#closed())
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#clientGone) controller.abort(new Error('the client is gone'))
    else if (!this.#withBody) this.#awaitFirstByte()
  }

  /** The request was sent whole: a long upload takes nothing of the answer's time. */
  onRequestSent(): void {
    if (this.#withBody) this.#awaitFirstByte()
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _: unknown,
    statusMessage?: string,
  ): void {
    if (status < 200) return // interim answers are dropped (RFC 9110 §15.2 allows it)
    clearTimeout(this.#firstByteTimer)
    this.#retry = undefined
    const { req, res, route } = this.#exchange
    res.sendDate = false // the app's own, or none
    res.writeHead(
      status,
      statusMessage || STATUS_CODES[status] || '',
      responseFields(controller.rawHeaders, route) as never,
    )
    // An event stream's head must not wait for its first event; where the body follows at once, both go out together.
    if (req.method !== 'HEAD') process.nextTick(flushHead, res)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { res } = this.#exchange
    if (res.write(chunk)) return
    controller.pause()
    res.once('drain', () => controller.resume())
  }

  onResponseEnd(): void {
    const { req, res } = this.#exchange
    res.end()
    // Answered before the upload had ended: read the rest, or the client may lose the answer with the connection.
    if (!req.complete) req.resume()
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error & { code?: string }): void {
    clearTimeout(this.#firstByteTimer)
    const { req, res, requestId } = this.#exchange
    if (this.#clientGone) return
    const retry = this.#late || !isConnectionLoss(error) ? undefined : this.#retry
    this.#retry = undefined
    if (retry !== undefined) retry()
    // The rest is missing: no final chunk, no clean end (RFC 9112 §8).
    else if (res.headersSent) res.destroy()
    else answerError(req, res, this.#late ? 504 : error.code === 'UND_ERR_INVALID_ARG' ? 400 : 502, requestId)
    if (!req.complete) req.resume()
  }

  #awaitFirstByte(): void {
    if (this.#exchange.res.headersSent) return
    this.#firstByteTimer = setTimeout(() => {
      this.#late = true
      this.#controller?.abort(new Error('no first byte in time'))
    }, this.#exchange.firstByteTimeoutMs)
  }

  #closed(): void {
    clearTimeout(this.#firstByteTimer)
    if (this.#exchange.res.writableFinished) return
    this.#clientGone = true
    this.#controller?.abort(new Error('the client is gone'))
  }
}

function flushHead(res: ServerResponse): void {
  if (!res.writableEnded) res.flushHeaders()
}

/** A kept connection that the app had closed meanwhile: the request may not have reached it. */
function isConnectionLoss(error: { code?: string }): boolean {
  return error.code === 'UND_ERR_SOCKET' || error.code === 'ECONNRESET' || error.code === 'EPIPE'
}

function responseFields(raw: Dispatcher.DispatchController['rawHeaders'], route: TableRoute): Fields {
  const came = (raw ?? []) as (Buffer | string)[]
  const pairs: Fields = []
  let connection = ''
  let chunked = false
  for (let i = 0; i + 1 < came.length; i += 2) {
    const name = text(came[i])
    const value = text(came[i + 1])
    const lower = name.toLowerCase()
    if (lower === 'connection') connection += `,${value}`
    else if (lower === 'transfer-encoding') chunked = true
    else pairs.push(name, value)
  }
  const named = namedInConnection(connection)
  const fields: Fields = []
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    const lower = (pairs[i] as string).toLowerCase()
    if (isHopByHop(lower, named) || (chunked && lower === 'content-length')) continue
    if (route.headers !== undefined && isOverridden(route.headers, lower)) continue
    fields.push(pairs[i] as string, pairs[i + 1] as string)
  }
  for (const [name, value] of Object.entries(route.headers ?? {}))
    if (value !== null) fields.push(name, value)
  return fields
}

function isOverridden(headers: Readonly<Record<string, string | null>>, lower: string): boolean {
  return Object.keys(headers).some((name) => name.toLowerCase() === lower)
}

/** Field values are bytes; latin1 keeps each as it is. */
function text(value: Buffer | string | undefined): string {
  return typeof value === 'string' ? value : (value?.toString('latin1') ?? '')
}

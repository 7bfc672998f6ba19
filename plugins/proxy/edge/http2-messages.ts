import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import type { ReadableOptions } from 'node:stream'
import type { ClientResponse } from './client-response.ts'
import { type Fields, isHopByHop } from './fields.ts'

const http2 = process.getBuiltinModule('node:http2')
const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = http2.constants

/** A request over HTTP/2 with the fields of one over HTTP/1.1: whoever forwards it need not know. */
export class Http2Request extends http2.Http2ServerRequest {
  override readonly method: string
  override url: string
  override readonly scheme: string
  override readonly authority: string
  /** Of its fields with their names, as RFC 9113 §6.5.2 counts them (without the 32 bytes for each). */
  readonly fieldsBytes: number

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    options: ReadableOptions,
    rawHeaders: readonly string[],
  ) {
    const fields = fieldsOf(rawHeaders)
    super(stream, headers, options, fields)
    const { ':method': method = '', ':path': path = '', ':scheme': scheme = '' } = headers
    const { ':authority': authority = '', ':protocol': protocol } = headers
    for (const name of pseudoFields) delete headers[name]
    delete (headers as Record<symbol, unknown>)[http2.sensitiveHeaders]
    headers.host ??= authority
    this.url = path
    this.scheme = scheme
    this.authority = authority
    this.fieldsBytes = fields.reduce((sum, text) => sum + text.length, 0)
    const upgrades = method === 'CONNECT' && protocol !== undefined
    this.method = upgrades ? 'GET' : method // RFC 8441 §5: that is what it would be over HTTP/1.1
    if (upgrades) headers.upgrade = String(protocol)
    // No field says that there is a body: what has none ends with its fields (RFC 9113 §8.1).
    else if (!stream.endAfterHeaders && headers['content-length'] === undefined)
      headers['transfer-encoding'] = 'chunked'
  }

  /** Node ends what broke off like what is whole. */
  override push(chunk: unknown): boolean {
    return chunk === null && this.aborted ? false : super.push(chunk)
  }

  override _read(sizeBytes: number): void {
    if (!this.aborted) super._read(sizeBytes)
  }

  /** As over HTTP/1.1: nobody can go on with a part of it. */
  override destroy(): this {
    this.stream.close(http2.constants.NGHTTP2_CANCEL)
    return this
  }
}

const pseudoFields = [':method', ':path', ':scheme', ':authority', ':protocol']

/** Without pseudo-fields, and with the crumbs of a cookie in one piece (RFC 9113 §8.2.3). */
function fieldsOf(rawHeaders: readonly string[]): Fields {
  const fields: Fields = []
  let cookieAt = -1
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    const value = rawHeaders[i + 1] as string
    if (name.startsWith(':')) continue
    if (name === 'cookie' && cookieAt >= 0) fields[cookieAt] += `; ${value}`
    else fields.push(name, value)
    if (name === 'cookie' && cookieAt < 0) cookieAt = fields.length - 1
  }
  return fields
}

/** An answer over HTTP/2 that is told as one over HTTP/1.1. */
export class Http2Response extends http2.Http2ServerResponse {
  constructor(stream: ServerHttp2Stream) {
    super(stream)
    Object.defineProperties(this, {
      destroyed: { get: () => stream.destroyed },
      // Node says so of every stream that is closed, by whomever.
      writableFinished: { get: () => this.writableEnded && stream.rstCode === NGHTTP2_NO_ERROR },
    })
  }

  override writeHead(status: number, ...more: unknown[]): this {
    const given = more.at(-1) ?? []
    const fields = Array.isArray(given) ? given : Object.entries(given).flat()
    if (this.stream.closed || this.stream.destroyed) return this
    this.statusCode = status
    const options = { waitForTrailers: true, sendDate: this.sendDate }
    this.stream.respond({ ...headersOf(fields), ':status': status }, options)
    return this
  }

  /** What has been asked for with an upgrade: the stream is the app's (RFC 8441 §5). */
  accept(fields: Fields): void {
    this.stream.respond({ ...headersOf(fields), ':status': 200 })
  }

  writeInterim(status: number, _reason: string, fields: Fields): void {
    if (this.stream.closed || this.stream.destroyed) return
    this.stream.additionalHeaders({ ...headersOf(fields), ':status': status })
  }

  /** Pairs, as over HTTP/1.1. */
  override addTrailers(trailers: unknown): void {
    for (const [name, value] of trailers as readonly (readonly [string, string])[])
      super.addTrailers({ [name]: value })
  }

  /** What was sent is not all of it: the client must not take it for whole. */
  override destroy(): this {
    this.stream.close(NGHTTP2_INTERNAL_ERROR)
    return this
  }
}

/**
 * Fields for one connection have no place here (RFC 9113 §8.2.2), nor has the reason. Of many fields Node sends no
 * second one, so that they are combined (RFC 9110 §5.3).
 */
function headersOf(fields: readonly unknown[]): OutgoingHttpHeaders {
  const headers: Record<string, string | string[]> = Object.create(null)
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = String(fields[i]).toLowerCase()
    const value = String(fields[i + 1])
    const before = headers[name]
    if (name !== 'trailer' && isHopByHop(name, undefined)) continue
    if (name === 'set-cookie') headers[name] = [...(before ?? []), value]
    else headers[name] = before === undefined ? value : `${before}, ${value}`
  }
  return headers
}

/** What takes requests of HTTP/1.1 takes these. */
export function asHttp1(req: Http2Request, res: Http2Response): [IncomingMessage, ClientResponse] {
  return [req as unknown as IncomingMessage, res as unknown as ClientResponse]
}

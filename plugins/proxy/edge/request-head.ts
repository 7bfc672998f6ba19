import { isDisguised, isHopByHop, isReplaced, namedInConnection } from './fields.ts'
import type { Exchange } from './forward.ts'
import { waitsForContinue } from './request-guard.ts'
import { trailersOf } from './trailers.ts'

/** How the body ends: by its length, by its chunks, or there is none. */
export type Framing = 'length' | 'chunked' | 'none'

/** What the parser found, not what the method suggests (RFC 9112 §6.3): a DELETE may have a body, a POST none. */
export function framingOf({ headers }: Exchange['req']): Framing {
  if (headers['transfer-encoding'] !== undefined) return 'chunked'
  const length = headers['content-length']
  return length !== undefined && Number(length) > 0 ? 'length' : 'none'
}

/** Methods whose body means something: they say so even when it is empty (RFC 9110 §8.6). */
export const bodyMethods: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])

/** Node's parser lets no such character through; whatever else a request may come from must not either. */
const notInField = /[^\t\x20-\x7e\x80-\xff]/
const notInTarget = /[^\x21-\x7e\x80-\xff]/

/** The request as the endpoint gets it, up to the empty line. Undefined when it cannot be written as HTTP/1.1. */
export function requestHead(exchange: Exchange, framing: Framing): string | undefined {
  const { req, visit, route, path, authority, requestId, forwarding } = exchange
  const changes = visit.fieldChanges
  if (notInTarget.test(path) || notInTarget.test(authority)) return undefined
  const named = namedInConnection(req.headers.connection ?? '')
  let head = `${req.method} ${path} HTTP/1.1\r\nhost: ${authority}\r\nconnection: keep-alive\r\n`
  let length: string | undefined
  const raw = req.rawHeaders
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string
    const value = raw[i + 1] as string
    const lower = name.toLowerCase()
    const announces = lower === 'trailer' && framing === 'chunked'
    if ((isHopByHop(lower, named) && !announces) || isReplaced(lower) || isDisguised(lower)) continue
    if (lower === 'authorization' && route.basicAuth !== undefined) continue // it was for this proxy
    if (changes !== undefined && Object.hasOwn(changes, lower)) continue
    if (notInField.test(value)) return undefined
    if (lower === 'content-length') length = value
    else head += `${name}: ${value}\r\n`
  }
  if (changes !== undefined)
    for (const [name, value] of Object.entries(changes)) if (value !== null) head += `${name}: ${value}\r\n`
  if (framing === 'chunked') head += 'transfer-encoding: chunked\r\n'
  else if (length !== undefined || bodyMethods.has(req.method ?? ''))
    head += `content-length: ${length ?? 0}\r\n`
  if (framing !== 'none' && waitsForContinue(req)) head += 'expect: 100-continue\r\n'
  if (forwarding.prefix !== undefined) head += `x-forwarded-prefix: ${forwarding.prefix}\r\n`
  return `${head}x-forwarded-for: ${forwarding.for}\r\nx-forwarded-proto: ${forwarding.proto}\r\nx-forwarded-host: ${forwarding.host}\r\nx-request-id: ${requestId}\r\n\r\n`
}

/** What follows the last chunk of a request, up to the empty line. Nothing that a tap has set or removed comes back in it. */
export function trailerSection({ req, visit }: Exchange): string {
  const changes = visit.fieldChanges
  const trailers = trailersOf(req.rawTrailers)
  let section = ''
  for (let i = 0; i + 1 < trailers.length; i += 2) {
    const name = trailers[i] as string
    const value = trailers[i + 1] as string
    if (notInField.test(value) || (changes !== undefined && Object.hasOwn(changes, name.toLowerCase())))
      continue
    section += `${name}: ${value}\r\n`
  }
  return section
}

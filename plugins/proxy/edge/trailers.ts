import type { IncomingMessage } from 'node:http'
import { type Fields, isDisguised, isHopByHop, isReplaced } from './fields.ts'

/** RFC 9110 §6.5.1: whoever merges trailers into the fields before the body must not get these in by the back door. */
const onlyBefore = new Set([
  'age',
  'authorization',
  'cache-control',
  'cookie',
  'date',
  'expires',
  'location',
  'max-forwards',
  'pragma',
  'range',
  'retry-after',
  'set-cookie',
  'vary',
  'warning',
  'www-authenticate',
])

/** Those that go on, of what came after a body. */
export function trailersOf(came: Fields): Fields {
  const trailers: Fields = []
  for (let i = 0; i + 1 < came.length; i += 2) {
    const lower = (came[i] as string).toLowerCase()
    if (onlyBefore.has(lower) || lower.startsWith('content-') || lower.startsWith('if-')) continue
    if (isHopByHop(lower, undefined) || isReplaced(lower) || isDisguised(lower)) continue
    trailers.push(came[i] as string, came[i + 1] as string)
  }
  return trailers
}

/** Over HTTP/1.1 a client has to say so (RFC 9110 §10.1.4); HTTP/2 has a place for them in every answer. */
export function takesTrailers({ headers, httpVersion }: IncomingMessage): boolean {
  if (httpVersion !== '1.1') return httpVersion === '2.0'
  return headers.te !== undefined && /(?:^|,)[ \t]*trailers[ \t]*(?:$|,)/i.test(String(headers.te))
}

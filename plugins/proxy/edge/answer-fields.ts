import type { TableRoute } from '@rivetr/sdk'
import { type Fields, isHopByHop, namedInConnection } from './fields.ts'

/**
 * The fields of an answer as the client gets them: those for one connection out, those of the route in. An answer in
 * chunks that is all there gets its length in their place. `withTrailers`: what its Trailer field announces goes on.
 */
export function answerFields(
  came: Fields,
  { headers }: Pick<TableRoute, 'headers'>,
  status: number,
  wholeBytes?: number,
  withTrailers = false,
): Fields {
  let connection = ''
  let chunked = false
  for (let i = 0; i + 1 < came.length; i += 2) {
    const name = came[i] as string
    if (name.length === 10 && name.toLowerCase() === 'connection')
      connection += connection === '' ? came[i + 1] : `,${came[i + 1]}`
    else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') chunked = true
  }
  const named = namedInConnection(connection)
  const withLength = !chunked && status > 199 && status !== 204 // RFC 9110 §8.6: a client may wait for what 204 cannot have
  const fields: Fields = []
  for (let i = 0; i + 1 < came.length; i += 2) {
    const name = came[i] as string
    const lower = name.toLowerCase()
    const announces = lower === 'trailer' && withTrailers && chunked && wholeBytes === undefined
    if ((isHopByHop(lower, named) && !announces) || (!withLength && lower === 'content-length')) continue
    if (headers !== undefined && isOverridden(headers, lower)) continue
    fields.push(name, came[i + 1] as string)
  }
  if (chunked && wholeBytes !== undefined) fields.push('content-length', String(wholeBytes))
  if (headers !== undefined)
    for (const [name, value] of Object.entries(headers)) if (value !== null) fields.push(name, value)
  return fields
}

function isOverridden(headers: Readonly<Record<string, string | null>>, lower: string): boolean {
  return Object.keys(headers).some((name) => name.toLowerCase() === lower)
}

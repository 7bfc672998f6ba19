import type { IncomingMessage } from 'node:http'
import { headerName, headerValue, RivetrError, z } from '@rivetr/sdk'
import type { Outgoing } from '@rivetr/sdk/kit'
import type { Plain } from './plain.ts'
import { shaped } from './shape.ts'

const timeoutSeconds = 10
const longestAnswer = 1024 * 1024

const requestSchema = z.strictObject({
  url: z.url({ protocol: /^https?$/ }),
  method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']).default('GET'),
  headers: z
    .record(
      headerName.refine((name) => name.toLowerCase() !== 'host', 'the address says it'),
      headerValue,
    )
    .default({}),
  body: z.union([z.string(), z.instanceof(Uint8Array)]).optional(),
  timeout: z.number().min(0.1).max(60).default(timeoutSeconds),
})

/**
 * One request of a script. An answer is an answer whatever its status; redirects are not followed. Errors:
 * `invalid_input`; `unavailable` when nobody answers, or the address may not be reached.
 */
export async function httpCall(
  outgoing: Pick<Outgoing, 'request'>,
  given: Plain,
  signal: AbortSignal,
): Promise<Plain> {
  const { url, timeout, ...rest } = shaped(
    requestSchema,
    typeof given === 'string' ? { url: given } : given,
    (faults) => `rivetr.http: ${faults}`,
  )
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeout * 1_000)])
  try {
    const response = await outgoing.request(new URL(url), {
      ...rest,
      headers: { 'user-agent': 'Rivetr', ...rest.headers },
      signal: limit,
    })
    const body = await bodyOf(response)
    const headers = Object.entries(response.headers).map(([name, value]) => [name, [value].flat().join(', ')])
    return { status: response.statusCode ?? 0, headers: Object.fromEntries(headers), body }
  } catch (error) {
    if (RivetrError.is(error)) throw error
    const why = limit.aborted && !signal.aborted ? `no answer within ${timeout} s` : (error as Error).message
    throw new RivetrError('unavailable', `rivetr.http: ${new URL(url).origin}: ${why}`, { cause: error })
  }
}

async function bodyOf(response: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response) {
    size += chunk.length
    if (size > longestAnswer)
      throw new RivetrError('too_large', `rivetr.http: the answer is longer than ${longestAnswer} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

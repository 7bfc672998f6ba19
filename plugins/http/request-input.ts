import { type AnyRoute, RivetrError, type z } from '@rivetr/sdk'
import type { Context } from 'koa'
import { getRawBody } from 'raw-body'

export interface RequestInput {
  readonly params: unknown
  readonly query: unknown
  readonly body: unknown
  readonly rawBody: Uint8Array
  readonly bodyStream: AsyncIterable<Uint8Array>
}

interface Issue {
  readonly path: string
  readonly message: string
}

/** Reads and checks all that a request brings. Errors: `invalid_input`, `too_large`, `unsupported_media_type`, `cancelled`. */
export async function readInput(ctx: Context, route: AnyRoute, maxBodyBytes: number): Promise<RequestInput> {
  const rawBody = await readBytes(ctx, route, maxBodyBytes)
  const issues: Issue[] = []
  const params = await check(route.params, { ...ctx.params }, issues)
  const query = await check(route.query, queryOf(ctx, route), issues)
  const body = await check(route.body, route.body && parseJson(rawBody), issues)
  const bodyStream = streamOf(ctx, route.bodyStream?.limitBytes)
  if (issues.length === 0) return { params, query, body, rawBody, bodyStream }
  const faults = issues.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ')
  throw new RivetrError('invalid_input', `${route.method} ${route.path} does not take this: ${faults}`, {
    details: { issues },
  })
}

async function readBytes(ctx: Context, route: AnyRoute, maxBodyBytes: number): Promise<Uint8Array> {
  const limitBytes = route.rawBody?.limitBytes ?? (route.body && maxBodyBytes)
  if (route.bodyStream !== undefined) assertPlain(ctx)
  if (limitBytes === undefined || !hasBody(ctx)) return new Uint8Array()
  assertPlain(ctx)
  if (!route.rawBody && !ctx.is('json', '+json')) {
    throw new RivetrError(
      'unsupported_media_type',
      'the body must be JSON; send it with Content-Type: application/json',
    )
  }
  try {
    return await getRawBody(ctx.req, { limit: limitBytes, length: ctx.request.length ?? null })
  } catch (error) {
    throw bodyError(error, limitBytes)
  }
}

function assertPlain(ctx: Context): void {
  if (['', 'identity'].includes(ctx.get('content-encoding'))) return
  throw new RivetrError(
    'unsupported_media_type',
    'a compressed body is not taken; send it without Content-Encoding',
  )
}

/** Refused at once when its length says that it is too large, and else where it becomes so. */
async function* streamOf(ctx: Context, limitBytes: number | undefined): AsyncGenerator<Uint8Array> {
  if (limitBytes === undefined) return
  let size = ctx.request.length ?? 0
  if (size > limitBytes) throw tooLarge(limitBytes)
  size = 0
  try {
    // Not destroyed when it is given up: its connection still has to take the answer.
    for await (const chunk of ctx.req.iterator({ destroyOnReturn: false })) {
      size += chunk.length
      if (size > limitBytes) throw tooLarge(limitBytes)
      yield chunk
    }
  } catch (error) {
    if (RivetrError.is(error, 'too_large')) throw error
    throw new RivetrError('cancelled', 'the client went away while it sent the body', { cause: error })
  }
}

function tooLarge(limitBytes: number): RivetrError {
  return new RivetrError('too_large', `the body is larger than ${limitBytes} bytes`)
}

function hasBody(ctx: Context): boolean {
  return ctx.get('transfer-encoding') !== '' || (ctx.request.length ?? 0) > 0
}

function bodyError(error: unknown, limitBytes: number): RivetrError {
  const { type } = error as { type?: string }
  if (type === 'entity.too.large') return tooLarge(limitBytes)
  if (type === 'request.aborted')
    return new RivetrError('cancelled', 'the client went away while it sent the body')
  return new RivetrError('invalid_input', 'the body could not be read; its Content-Length may be wrong', {
    cause: error,
  })
}

function parseJson(bytes: Uint8Array): unknown {
  if (bytes.length === 0) return undefined
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw new RivetrError('invalid_input', 'the body is not JSON in UTF-8', { cause: error })
  }
}

/** What a browser's EventSource has seen already comes as a header when it connects again. */
function queryOf(ctx: Context, route: AnyRoute): Record<string, unknown> {
  const lastEventId = ctx.get('last-event-id')
  const resumes = route.stream === true && lastEventId !== '' && takesAfter(route.query)
  return { ...ctx.query, ...(resumes ? { after: lastEventId } : {}) }
}

function takesAfter(query: z.ZodType | undefined): boolean {
  const { shape } = (query ?? {}) as { shape?: Record<string, unknown> }
  return shape !== undefined && 'after' in shape
}

async function check(shape: z.ZodType | undefined, value: unknown, issues: Issue[]): Promise<unknown> {
  if (shape === undefined) return undefined
  const result = await shape.safeParseAsync(value)
  if (result.success) return result.data
  for (const issue of result.error.issues) issues.push({ path: issue.path.join('.'), message: issue.message })
  return undefined
}

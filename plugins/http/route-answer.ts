import { inspect } from 'node:util'
import { type AnyRoute, type Clock, type Logger, Reply, RivetrError } from '@rivetr/sdk'
import type { Context } from 'koa'
import { errorAnswer } from './error-answer.ts'
import { eventStream } from './event-stream.ts'
import { cookieName } from './request-cookies.ts'

/** A stream that is not followed ends here at the latest; `?after=` the last one goes on. */
const maxItems = 10_000

export interface AnswerParts {
  readonly clock: Clock
  readonly log: Logger
  readonly requestId: string
  readonly signal: AbortSignal
}

/** Answers with what a handler returned. */
export async function answerData(ctx: Context, route: AnyRoute, returned: unknown): Promise<void> {
  const { body, options } = returned instanceof Reply ? (returned as Reply<unknown>) : new Reply(returned, {})
  ctx.status = options.status ?? route.status ?? 200
  if (options.headers) ctx.set(options.headers)
  if (options.cookie) setCookie(ctx, options.cookie)
  if (ctx.status === 204) ctx.body = null
  else json(ctx, await serialise(route, body))
}

/** Answers with all items of a stream that there are now. */
export async function answerItems(
  ctx: Context,
  route: AnyRoute,
  stream: AsyncIterable<unknown>,
): Promise<void> {
  const items: unknown[] = []
  for await (const item of stream) {
    items.push(await serialise(route, item))
    if (items.length === maxItems) break
  }
  ctx.status = 200
  json(ctx, { items })
}

/** Answers with one event per item, until the stream ends or the client goes. */
export async function answerEvents(
  ctx: Context,
  route: AnyRoute,
  stream: AsyncIterable<unknown>,
  { clock, log, requestId, signal }: AnswerParts,
): Promise<void> {
  const body = await eventStream(stream, {
    clock,
    signal,
    serialise: (item) => serialiseNow(route, item),
    failure: (error) => failureOf(error, route, { log, requestId }),
  })
  ctx.status = 200
  ctx.type = 'text/event-stream'
  ctx.set('x-accel-buffering', 'no')
  ctx.body = body
}

/** What who listens is told of a failure; one of ours is logged. */
export function failureOf(
  error: unknown,
  { path }: AnyRoute,
  { log, requestId }: Pick<AnswerParts, 'log' | 'requestId'>,
): unknown {
  const { status, body } = errorAnswer(error, requestId, true)
  if (status === 500) log.error('a stream failed', { requestId, path, error: inspect(error) })
  return body
}

/** The same for an item of a stream, of which there may be very many: shapes that need to wait are not for streams. */
export function serialiseNow(route: AnyRoute, value: unknown): unknown {
  const result = route.returns.safeParse(value)
  if (result.success) return result.data
  throw undeclared(route, result.error)
}

/** Only what the route declares leaves the machine. */
async function serialise(route: AnyRoute, value: unknown): Promise<unknown> {
  const result = await route.returns.safeParseAsync(value)
  if (result.success) return result.data
  throw undeclared(route, result.error)
}

function undeclared({ method, path }: AnyRoute, cause: Error): RivetrError {
  return new RivetrError('internal', `${method} ${path} returned something else than it declares`, { cause })
}

function json(ctx: Context, data: unknown): void {
  ctx.type = 'application/json'
  ctx.body = JSON.stringify(data ?? null)
}

function setCookie(
  ctx: Context,
  { name, value, maxAgeMs }: { name: string; value: string | null; maxAgeMs?: number },
): void {
  ctx.cookies.set(cookieName(name, ctx.secure), value, {
    httpOnly: true,
    sameSite: 'lax',
    path: '/',
    secure: ctx.secure,
    overwrite: true,
    ...(maxAgeMs === undefined ? {} : { maxAge: maxAgeMs }),
  })
}

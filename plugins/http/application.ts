import { randomUUID } from 'node:crypto'
import { inspect } from 'node:util'
import { type Logger, RivetrError } from '@rivetr/sdk'
import Koa, { type Context, type Next } from 'koa'
import { errorAnswer } from './error-answer.ts'
import { answerWhileReceiving, isStillSending } from './lingering.ts'
import type { RestRouter } from './rest-router.ts'

/** By which a request came in: who may reach the socket's file is the owner of the machine. */
export type Door = 'socket' | 'port'

/** What happens when a client leaves while it is being answered. */
const goneCodes = new Set(['ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET', 'EPIPE', 'ECANCELED'])

/** What every request passes, whichever route it takes. */
export function application(
  router: RestRouter,
  door: Door,
  options: { trustProxy: boolean; log: Logger },
): Koa {
  const { trustProxy, log } = options
  const app = new Koa({ proxy: trustProxy, maxIpsCount: 1 })
  app.on('error', (error: NodeJS.ErrnoException) => {
    if (!goneCodes.has(error.code ?? '')) log.warn('an answer broke off', { error: inspect(error) })
  })
  app.use(async (ctx, next) => {
    ctx.state.requestId = requestId(ctx)
    ctx.state.door = door
    ctx.set({
      'x-request-id': ctx.state.requestId,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    await guarded(ctx, next, log)
  })
  app.use(async (ctx, next) => {
    if (ctx.path !== '/health') return next()
    ctx.body = 'OK'
  })
  app.use(router.middleware)
  return app
}

/** A client's own id is kept where it cannot harm a log line. */
function requestId(ctx: Context): string {
  const given = ctx.get('x-request-id')
  return /^[A-Za-z0-9._-]{8,64}$/.test(given) ? given : randomUUID()
}

async function guarded(ctx: Context, next: Next, log: Logger): Promise<void> {
  const { requestId } = ctx.state
  try {
    await next()
    if (ctx.status === 405 || ctx.status === 501) {
      throw new RivetrError(
        'method_not_allowed',
        `${ctx.path} does not take ${ctx.method}; it takes ${ctx.response.get('allow')}`,
      )
    }
    if (ctx.status === 404 && !ctx.body) {
      throw new RivetrError('not_found', `no route ${ctx.method} ${ctx.path}; /api/openapi.json names all`)
    }
  } catch (error) {
    const { status, body } = errorAnswer(error, requestId, ctx.state.known === true)
    if (status === 500)
      log.error('a request failed', { requestId, method: ctx.method, path: ctx.path, error: inspect(error) })
    ctx.set(headersOf(status, body.error.details))
    ctx.status = status
    if (isStillSending(ctx)) answerWhileReceiving(ctx, JSON.stringify(body))
    else ctx.body = body
  }
  log.debug('request', { requestId, method: ctx.method, path: ctx.path, status: ctx.status })
}

function headersOf(status: number, details: Record<string, unknown> = {}): Record<string, string> {
  if (status === 401) return { 'www-authenticate': 'Bearer' } // RFC 9110, 11.6.1
  if (status === 429 && details.retryAfterSeconds) return { 'retry-after': String(details.retryAfterSeconds) }
  return {}
}

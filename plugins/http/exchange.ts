import {
  type ActionAudited,
  type AnyRoute,
  anonymous,
  type Clock,
  type Download,
  type Hooks,
  type Logger,
  type Resource,
  RivetrError,
  type RouteRequest,
  type z,
} from '@rivetr/sdk'
import type { Context } from 'koa'
import { authenticate, authorize, checkOrigin, checkSocketOrigin } from './access-check.ts'
import { answerDownload } from './download.ts'
import { requestCookies } from './request-cookies.ts'
import { type RequestInput, readInput } from './request-input.ts'
import { answerData, answerEvents, answerItems } from './route-answer.ts'
import { answerSocket } from './socket-answer.ts'
import { type Permission, stillAllowed } from './still-allowed.ts'
import { wantsSocket } from './upgrade.ts'

export interface ExchangeParts {
  readonly hooks: Hooks
  readonly clock: Clock
  readonly log: Logger
  readonly maxBodyBytes: number
  /** Ends what would go on for ever: the event streams. */
  readonly stopping: AbortSignal
}

/** One request through one route: who, may they, what do they bring, do it, answer. Whoever may not learns no more. */
export async function exchange(ctx: Context, route: AnyRoute, parts: ExchangeParts): Promise<void> {
  const { hooks, clock } = parts
  const resource = resourceOf(ctx, route)
  let principal = anonymous
  let outcome: ActionAudited['outcome'] = 'denied'
  try {
    if (wantsSocket(ctx)) checkSocketOrigin(ctx)
    else checkOrigin(ctx)
    principal = await authenticate(ctx, ctx.state.door, hooks)
    ctx.state.known = principal.kind !== 'anonymous'
    await authorize(route, principal, resource, hooks)
    outcome = 'failed'
    const input = await readInput(ctx, route, parts.maxBodyBytes)
    await handle(ctx, { route, principal, resource }, parts, { ...input, principal })
    outcome = 'done'
  } finally {
    if (route.method !== 'GET' || route.socket) {
      const action = route.access === 'public' ? `${route.method} ${route.path}` : route.access
      hooks.notify('actionAudited', {
        at: new Date(clock.now()).toISOString(),
        principal,
        action,
        resource,
        outcome,
      })
    }
  }
}

async function handle(
  ctx: Context,
  permission: Permission,
  { hooks, clock, log, stopping }: ExchangeParts,
  input: Pick<Request, 'principal'> & RequestInput,
): Promise<void> {
  const { route } = permission
  const socket = wantsSocket(ctx) && (route.socket || route.stream)
  if (route.socket && !socket)
    throw new RivetrError('invalid_input', `${route.path} takes a WebSocket: ask for an upgrade (RFC 6455)`)
  const follow = route.stream === true && ctx.method !== 'HEAD' && (socket || wantsEvents(ctx))
  const gone = clientGone(ctx)
  const permitted = () => {
    const until = AbortSignal.any([answered(ctx), gone, stopping])
    return stillAllowed(ctx, permission, { hooks, clock, until })
  }
  const lasts = follow || socket || route.download !== undefined
  const signal = lasts ? AbortSignal.any([gone, stopping, permitted()]) : gone
  const requestId: string = ctx.state.requestId
  const request = {
    ...input,
    headers: repeatedHeaders(ctx),
    cookies: requestCookies(ctx.get('cookie'), ctx.secure),
    ip: ctx.ip,
    requestId,
    signal,
    follow,
  } as Request
  if (socket) return answerSocket(ctx, route, request, { clock, log, requestId, signal })
  const returned = route.handler(request)
  if (route.download !== undefined)
    return answerDownload(ctx, route.download, (await returned) as Download, signal)
  if (!isStream(returned)) await answerData(ctx, route, await returned)
  else if (follow) await answerEvents(ctx, route, returned, { clock, log, requestId, signal })
  else await answerItems(ctx, route, returned)
}

export type Request = RouteRequest<z.ZodType, z.ZodType, z.ZodType>

function resourceOf(ctx: Context, route: AnyRoute): Resource {
  const [kind = 'route'] = route.access === 'public' ? ['route'] : route.access.split(':', 1)
  return { kind, id: ctx.params.id }
}

function wantsEvents(ctx: Context): boolean {
  return ctx.accepts('application/json', 'text/event-stream') === 'text/event-stream'
}

/** To its end, or not: a response that a WebSocket took the connection of is never either. */
function answered(ctx: Context): AbortSignal {
  const controller = new AbortController()
  ctx.res.once('close', () => controller.abort())
  return controller.signal
}

function clientGone(ctx: Context): AbortSignal {
  const controller = new AbortController()
  ctx.res.once('close', () => {
    if (!ctx.res.writableFinished) controller.abort()
  })
  ctx.state.gone = () => controller.abort()
  return controller.signal
}

function repeatedHeaders(ctx: Context): Record<string, string | readonly string[] | undefined> {
  const entries = Object.entries(ctx.req.headersDistinct)
  return Object.fromEntries(
    entries.map(([name, values]) => [name, values?.length === 1 ? values[0] : values]),
  )
}

function isStream(value: Promise<unknown> | AsyncIterable<unknown>): value is AsyncIterable<unknown> {
  return Symbol.asyncIterator in value
}

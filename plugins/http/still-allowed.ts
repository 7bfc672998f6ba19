import {
  type AnyRoute,
  type Clock,
  type Hooks,
  type Principal,
  type Resource,
  RivetrError,
} from '@rivetr/sdk'
import type { Context } from 'koa'
import { authenticate, authorize } from './access-check.ts'

/** So long somebody may go on who may no more. */
const againMs = 3_000

export interface Permission {
  readonly route: AnyRoute
  readonly principal: Principal
  readonly resource: Resource
}

/**
 * Aborts, with the refusal as its reason, when whoever listens may not any more: signed out, the key revoked, scopes taken
 * away, the user removed. Asked again and again until `until` aborts.
 */
export function stillAllowed(
  ctx: Context,
  { route, principal, resource }: Permission,
  { hooks, clock, until }: { readonly hooks: Hooks; readonly clock: Clock; readonly until: AbortSignal },
): AbortSignal {
  const refused = new AbortController()
  const ask = async () => {
    const now = await authenticate(ctx, ctx.state.door, hooks)
    await authorize(route, now, resource, hooks)
    if (now.id !== principal.id || now.kind !== principal.kind)
      throw new RivetrError('unauthenticated', 'this is somebody else by now')
  }
  let takeBack = () => {}
  const askLater = () => {
    takeBack = clock.after(againMs, () => {
      ask().then(
        () => until.aborted || askLater(),
        (error: unknown) => refused.abort(error),
      )
    })
  }
  askLater()
  until.addEventListener('abort', () => takeBack(), { once: true })
  return refused.signal
}

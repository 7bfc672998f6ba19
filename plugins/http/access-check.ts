import {
  type AnyRoute,
  anonymous,
  type Hooks,
  type Principal,
  permits,
  type Resource,
  RivetrError,
} from '@rivetr/sdk'
import type { Context } from 'koa'
import type { Door } from './application.ts'
import { requestCookies } from './request-cookies.ts'

const system: Principal = Object.freeze({ kind: 'system', id: 'local', name: 'system:local', scopes: ['*'] })

/** Who asks. Over the unix socket it is the owner of the machine: the file system has already decided. */
export async function authenticate(ctx: Context, door: Door, hooks: Hooks): Promise<Principal> {
  if (door === 'socket') return system
  const principal = await hooks.call('authenticate', {
    headers: joinedHeaders(ctx),
    cookies: requestCookies(ctx.get('cookie'), ctx.secure),
    ip: ctx.ip,
    method: ctx.method,
  })
  return principal ?? anonymous
}

/** Whether they may. Errors: `unauthenticated`, `forbidden`. */
export async function authorize(
  route: AnyRoute,
  principal: Principal,
  resource: Resource,
  hooks: Hooks,
): Promise<void> {
  const { access } = route
  if (access === 'public') return
  if (principal.kind === 'anonymous') {
    throw new RivetrError(
      'unauthenticated',
      'this needs a session or an API key (Authorization: Bearer rvt_…)',
    )
  }
  if (permits(principal, access)) {
    const verdict = await hooks.call('authorize', { principal, action: access, resource })
    if (verdict === 'allow') return
  }
  throw new RivetrError('forbidden', `${principal.name} may not do ${access}; an owner can grant it`)
}

/** Of `good:80@evil.example` Koa takes the end for the host (CVE-2026-27959). */
const plainHost = /^[\w.:[\]-]+$/

/**
 * Refuses what another site makes a browser send. Browsers say where a state-changing request comes from, in
 * Sec-Fetch-Site or at least in Origin; what is no browser sends neither, nor a cookie.
 */
export function checkOrigin(ctx: Context): void {
  if (ctx.method === 'GET' || ctx.method === 'HEAD') return
  const origin = ctx.get('origin')
  const site = ctx.get('sec-fetch-site')
  if (origin === '' && site === '' && ctx.get('cookie') === '') return
  if (site === 'same-origin' || site === 'none') return
  if (site === '' && isOwnHost(ctx, origin)) return
  throw new RivetrError('forbidden', `a page of ${origin || 'another site'} may not change anything here`)
}

/**
 * The same for a WebSocket, which a browser opens to anywhere, with cookies, and of which it always says which page does: the
 * page must be of this very host (RFC 6455 §10.2). What is no browser sends no origin, and may not come with a cookie then.
 */
export function checkSocketOrigin(ctx: Context): void {
  const origin = ctx.get('origin')
  const site = ctx.get('sec-fetch-site')
  if (origin === '' && site === '' && ctx.get('cookie') === '') return
  const isOwnScheme = /^https?:$/.test(schemeOf(origin)) && (!ctx.secure || schemeOf(origin) === 'https:')
  if (isOwnHost(ctx, origin) && isOwnScheme && (site === '' || site === 'same-origin')) return
  throw new RivetrError('forbidden', `a page of ${origin || 'an unknown site'} may not open a WebSocket here`)
}

function isOwnHost(ctx: Context, origin: string): boolean {
  return plainHost.test(ctx.get('host')) && hostOf(origin) === ctx.host.toLowerCase()
}

function schemeOf(origin: string): string {
  return URL.canParse(origin) ? new URL(origin).protocol : ''
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}

/** A repeated header stays visible as such: joined it is no valid credential any more. */
function joinedHeaders(ctx: Context): Record<string, string | undefined> {
  const headers: Record<string, string | undefined> = {}
  for (const [name, values] of Object.entries(ctx.req.headersDistinct)) headers[name] = values?.join(', ')
  return headers
}

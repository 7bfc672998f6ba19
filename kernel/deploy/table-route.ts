import type { App, TableRoute, TrafficSettings, Upstream } from '@rivetr/sdk'
import type { RouteOptions } from '../data/route-options.ts'

/** The row of a route, and what of its app concerns it. */
export interface RouteFacts {
  readonly host: string
  readonly path: string
  readonly options: RouteOptions | null | undefined
  readonly app: App
  readonly traffic: TrafficSettings | null
  readonly upstreams: readonly Upstream[]
}

/** A route as the edges get it, before `routeResolve`. */
export function tableRoute({ host, path, options, app, traffic, upstreams }: RouteFacts): TableRoute {
  const { https = 'redirect', redirect, ...rest } = options ?? {}
  return {
    app: { id: app.id, name: app.name },
    host,
    path,
    upstreams,
    httpsOnly: https === 'redirect',
    ...rest,
    ...(redirect && { redirect: redirectOf(redirect) }),
    ...(traffic?.errorPages && { errorPages: traffic.errorPages }),
    ...(traffic?.maintenance && { respond: maintenanceAnswer(traffic.maintenance) }),
  }
}

function redirectOf({ to, status, keepPath }: NonNullable<RouteOptions['redirect']>): TableRoute['redirect'] {
  return { status, location: keepPath ? to.replace(/\/$/, '') : to, keepPath }
}

function maintenanceAnswer({
  page,
  retryAfterS,
}: NonNullable<TrafficSettings['maintenance']>): TableRoute['respond'] {
  return {
    status: 503,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'retry-after': String(retryAfterS),
    },
    body: page ?? maintenancePage,
  }
}

const maintenancePage =
  '<!doctype html><html lang="en"><meta charset="utf-8"><title>Maintenance</title>' +
  '<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem}</style>' +
  '<h1>Back soon</h1><p>This app is being worked on. Try again in a few minutes.</p></html>\n'

import { randomUUIDv7 } from 'node:crypto'
import { RivetrError, type RouteSettings, type Rows } from '@rivetr/sdk'
import { RouteRow } from './entities/index.ts'
import { type RouteOptions, storedOptions } from './route-options.ts'

interface StoredRoute {
  readonly host: string
  readonly path: string
  readonly options?: RouteOptions | null | undefined
}

/** Passwords are hashed here, outside of any transaction. */
export function storedRoutes(
  routes: readonly RouteSettings[],
  before: readonly StoredRoute[],
): Promise<StoredRoute[]> {
  const optionsOf = new Map(before.map(({ host, path, options }) => [`${host}${path}`, options]))
  return Promise.all(
    routes.map(async (route) => ({
      host: route.host,
      path: route.path,
      options: await storedOptions(route, optionsOf.get(`${route.host}${route.path}`)),
    })),
  )
}

export async function insertRoutes(rows: Rows, app: string, routes: readonly StoredRoute[]): Promise<void> {
  for (const route of routes) await rows.insert(RouteRow, { id: randomUUIDv7(), app, ...route })
}

export function routeTaken(cause: unknown): RivetrError {
  return new RivetrError('conflict', 'another route has this host and path already', { cause })
}

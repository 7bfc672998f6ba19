import type { TableRoute } from '@rivetr/sdk'
import { hostOf } from './host.ts'

/** The routes of one table, found by host and path. Never edited: a new table replaces it. */
export class RouteTable {
  readonly routes: readonly TableRoute[]
  readonly #exact = new Map<string, TableRoute[]>()
  /** By what follows the star: `*.example.com` under `example.com`. */
  readonly #wildcard = new Map<string, TableRoute[]>()

  constructor(routes: readonly TableRoute[]) {
    this.routes = routes
    for (const route of routes) {
      const wildcard = route.host.startsWith('*.')
      const name = wildcard ? route.host.slice(2).toLowerCase() : (hostOf(route.host) ?? route.host)
      const hosts = wildcard ? this.#wildcard : this.#exact
      const ofHost = hosts.get(name)
      if (ofHost === undefined) hosts.set(name, [route])
      else ofHost.push(route)
    }
    for (const hosts of [this.#exact, this.#wildcard]) {
      for (const ofHost of hosts.values()) ofHost.sort((a, b) => b.path.length - a.path.length)
    }
  }

  /** Exact host, then wildcard, then the longest path. The query takes no part. */
  find(host: string, path: string): TableRoute | undefined {
    return longest(this.#exact.get(host), path) ?? longest(this.#wildcard.get(parentOf(host)), path)
  }
}

/** The name after the first label; empty where there is no label before the dot. */
function parentOf(host: string): string {
  const dot = host.indexOf('.')
  return dot > 0 ? host.slice(dot + 1) : ''
}

function longest(routes: readonly TableRoute[] | undefined, path: string): TableRoute | undefined {
  return routes?.find((route) => takes(route.path, path))
}

/** `/api` takes `/api`, `/api/x` and `/api?x`, but not `/apix`. */
function takes(prefix: string, path: string): boolean {
  if (prefix.endsWith('/')) return path.startsWith(prefix) || isWhole(path, prefix.slice(0, -1))
  return isWhole(path, prefix) || path.startsWith(`${prefix}/`)
}

function isWhole(path: string, wanted: string): boolean {
  return path.startsWith(wanted) && (path.length === wanted.length || path[wanted.length] === '?')
}

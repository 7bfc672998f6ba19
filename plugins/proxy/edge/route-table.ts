import type { TableRoute } from '@rivetr/sdk'
import { hostOf, parentOf } from './host.ts'
import { isOdd, readingsOf } from './path-readings.ts'

/** The routes of one table, found by host and path. Never edited: a new table replaces it. */
export class RouteTable {
  readonly routes: readonly TableRoute[]
  readonly #exact = new Map<string, TableRoute[]>()
  /** By what follows the star: `*.example.com` under `example.com`. */
  readonly #wildcard = new Map<string, TableRoute[]>()
  /** A path decides somewhere. */
  readonly #hasPrefixes: boolean

  constructor(routes: readonly TableRoute[]) {
    this.routes = routes
    this.#hasPrefixes = routes.some(({ path }) => path !== '/')
    for (const route of routes) {
      const wildcard = route.host.startsWith('*.')
      const name = wildcard ? route.host.slice(2).toLowerCase() : hostOf(route.host)
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

  /**
   * Whether an app could read the path so that it belongs to another route, or to none: `/shop/../admin`. Then what
   * guards the other one (a password, an app of its own) would be passed by.
   */
  isAmbiguous(host: string, path: string, found: TableRoute): boolean {
    if (!this.#hasPrefixes) return false
    const query = path.indexOf('?')
    const plain = query < 0 ? path : path.slice(0, query)
    if (!isOdd(plain)) return false
    const readings = readingsOf(plain)
    if (readings === undefined) return true
    return readings.some(({ path: text, read }) => {
      const route =
        longest(this.#exact.get(host), text, read) ?? longest(this.#wildcard.get(parentOf(host)), text, read)
      return route !== found
    })
  }
}

/** With `read`, prefixes are read in the same way as the path was. */
function longest(
  routes: readonly TableRoute[] | undefined,
  path: string,
  read?: (path: string) => string,
): TableRoute | undefined {
  if (read === undefined) return routes?.find((route) => takes(route.path, path))
  return routes?.find((route) => takes(isOdd(route.path) ? read(route.path) : route.path, path))
}

/** `/api` takes `/api`, `/api/x` and `/api?x`, but not `/apix`. */
function takes(prefix: string, path: string): boolean {
  if (prefix.endsWith('/')) return path.startsWith(prefix) || isWhole(path, prefix.slice(0, -1))
  return isWhole(path, prefix) || path.startsWith(`${prefix}/`)
}

function isWhole(path: string, wanted: string): boolean {
  return path.startsWith(wanted) && (path.length === wanted.length || path[wanted.length] === '?')
}

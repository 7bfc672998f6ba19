import type { Endpoint } from '../model/deployment.ts'
import { token } from '../token.ts'

/** A replica that takes requests. */
export interface Upstream extends Endpoint {
  readonly replica: string
  /** Share of new requests, relative to the other upstreams. 0 takes none. */
  readonly weight: number
}

/** A route as data: what `routeResolve` may change, and what any traffic engine can carry out. */
export interface TableRoute {
  readonly app: { readonly id: string; readonly name: string }
  /** Lower case, no port; `*.example.com` takes one label in place of the star. */
  readonly host: string
  /** Prefix at a segment border; `/` takes all. */
  readonly path: string
  /** None: the app has nothing that serves, 503. */
  readonly upstreams: readonly Upstream[]
  /** Response headers to set (a string) or to remove (null). */
  readonly headers?: Readonly<Record<string, string | null>> | undefined
  readonly redirect?: { readonly status: 301 | 302 | 307 | 308; readonly location: string } | undefined
  readonly respond?:
    | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body: string }
    | undefined
}

/** Everything that an edge needs; a function of database rows. Exact host before wildcard, then the longest path. */
export interface RouteTable {
  readonly routes: readonly TableRoute[]
}

/** What the edges are doing. */
export interface TrafficStats {
  readonly edges: number
  readonly epoch: number
  readonly generation: number
  /** Requests and upgraded connections now on their way, by replica id, over all edges. */
  readonly inFlight: Readonly<Record<string, number>>
  readonly requests: number
}

/**
 * Carries requests to upstreams. Plain data only, so that the embedded proxy and a native engine are interchangeable.
 * Errors: `unavailable` when no edge answers; `conflict` for an epoch older than the one in force.
 */
export interface Traffic {
  /**
   * Makes the whole table the one in force on every edge, and resolves when all have acknowledged.
   * `epoch` is a boot counter (two kernels cannot fight), `generation` grows with each table of an epoch.
   */
  apply(table: RouteTable, epoch: number, generation: number): Promise<void>
  /** `app` is its id. From the moment it resolves, new requests of the app wait on every edge; after `limitMs` they are let go by themselves. */
  hold(app: string, limitMs: number): Promise<void>
  /** Lets them go. Idempotent. */
  release(app: string): Promise<void>
  stats(): Promise<TrafficStats>
}

export const Traffic = token<Traffic>('traffic')

import type { Endpoint } from '../model/deployment.ts'
import { token } from '../token.ts'

/** A replica that takes requests. */
export interface Upstream extends Endpoint {
  readonly replica: string
  /** Share of new requests, relative to the other upstreams. 0 takes none. */
  readonly weight: number
}

/** An answer that a route gives by itself. */
export interface FixedAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string
}

/** Where a route sends clients. */
export interface Redirect {
  readonly status: 301 | 302 | 307 | 308
  /** An absolute URL. */
  readonly location: string
  /** Path and query of the request follow the location; a location with a path of its own has no slash at its end then. */
  readonly keepPath?: boolean | undefined
}

/** A user who may pass a route's basic authentication (RFC 7617). */
export interface RouteUser {
  readonly name: string
  /** `scrypt$<log2 N>$<salt, base64>$<hash, base64>` with r = 8, p = 1 and 32 bytes of hash (RFC 7914). */
  readonly passwordHash: string
}

/** Pages in place of the proxy's own, by status. */
export type ErrorPages = Readonly<Partial<Record<404 | 413 | 502 | 503 | 504, string | undefined>>>

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
  readonly redirect?: Redirect | undefined
  readonly respond?: FixedAnswer | undefined
  /** Plain HTTP is sent to HTTPS (308) as soon as the table has a certificate for the host. */
  readonly httpsOnly?: boolean | undefined
  /** The app gets the path without the prefix. */
  readonly stripPath?: boolean | undefined
  /** A longer request body is refused with 413, before it reaches the app where its length is known. */
  readonly maxBodyBytes?: number | undefined
  /** How long the app may take to begin its answer, counted from the end of the request; then 504. */
  readonly firstByteTimeoutMs?: number | undefined
  /** Only these users get through. */
  readonly basicAuth?: { readonly realm: string; readonly users: readonly RouteUser[] } | undefined
  /** HTML in place of the proxy's own pages. */
  readonly errorPages?: ErrorPages | undefined
}

/** A certificate with its key, as an edge serves it. */
export interface TableCertificate {
  /** Names that it covers, wildcards included. */
  readonly hosts: readonly string[]
  /** PEM, leaf first. */
  readonly chain: string
  /** PEM, PKCS #8. */
  readonly key: string
}

/** The answer to a challenge under way; it wins over every route. */
export type TableChallenge =
  /** RFC 8555 §8.3: at `/.well-known/acme-challenge/<token>` of the host, over plain HTTP. */
  | {
      readonly kind: 'http-01'
      readonly host: string
      readonly token: string
      readonly keyAuthorization: string
    }
  /** RFC 8737: shown to who asks for the protocol `acme-tls/1` and this host. */
  | { readonly kind: 'tls-alpn-01'; readonly host: string; readonly chain: string; readonly key: string }

/** Everything that an edge needs; a function of database rows. Exact host before wildcard, then the longest path. */
export interface RouteTable {
  readonly routes: readonly TableRoute[]
  /** Several may cover a host; the first does. A host that none covers gets a self-signed one. */
  readonly certificates?: readonly TableCertificate[] | undefined
  readonly challenges?: readonly TableChallenge[] | undefined
}

/** What the edges are doing. */
export interface TrafficStats {
  readonly edges: number
  readonly epoch: number
  readonly generation: number
  /** Requests and upgraded connections now on their way, by replica id, over all edges. */
  readonly inFlight: Readonly<Record<string, number>>
  readonly requests: number
  /** What became of the taps that plugins have in the edges (`sdk/edge`), over all edges. */
  readonly taps?: readonly EdgeTapStats[] | undefined
}

/** A tap in the edges. */
export interface EdgeTapStats {
  readonly plugin: string
  /** `load`: its module cannot be loaded, or all its taps were dropped. */
  readonly tap: 'load' | 'request' | 'response' | 'done'
  readonly calls: number
  readonly errors: number
  readonly totalMs: number
  /** Requests pass without it. */
  readonly muted: boolean
  /** The last one. */
  readonly error?: string | undefined
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

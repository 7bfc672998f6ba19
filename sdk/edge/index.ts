import type { FixedAnswer } from '../providers/traffic.ts'

export type { FixedAnswer } from '../providers/traffic.ts'

/** Plain data: what JSON can carry. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/** What a plugin's taps in the edges get of its configuration. Never a secret: edges keep it in a file. */
export type EdgeConfig = Readonly<Record<string, Json>>

/** Fields to set (a string) or to remove (null), by name in any case. Not those that frame a message or that the proxy itself sets. */
export type FieldChanges = Readonly<Record<string, string | null>>

/** A request that has found its route. */
export interface EdgeRequest {
  /** As in the access log, in answers and in what the app gets as `X-Request-Id`. */
  readonly id: string
  readonly method: string
  /** Lower case, without port. */
  readonly host: string
  /** Without the query, byte for byte. */
  readonly path: string
  /** What follows the question mark; empty where there is none. */
  readonly query: string
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** The client's address, by trusted proxies where there are any. */
  readonly client: string
  readonly app: { readonly id: string; readonly name: string }
}

/** What a `request` tap wants. */
export interface EdgeRequestVerdict {
  /** The edge answers, and the app hears nothing of it. No tap after this one is asked. */
  readonly answer?: FixedAnswer
  /** For the app. */
  readonly headers?: FieldChanges
}

/** An answer of an app, before its first byte leaves. Answers that the edge gives itself have no tap. */
export interface EdgeResponse {
  readonly status: number
  /** Lower-case names; a field that came several times is a list. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly request: EdgeRequest
}

/** What a `response` tap wants. */
export interface EdgeResponseVerdict {
  /** For the client. */
  readonly headers?: FieldChanges
}

/** How a request ended; a line of the access log. */
export interface EdgeOutcome {
  /** When it came, in milliseconds since 1970. */
  readonly atMs: number
  readonly requestId: string
  readonly client: string
  readonly method: string
  /** Lower case, without port; undefined where the request named no usable one. */
  readonly host: string | undefined
  /** Without the query: there are passwords and personal data in those. */
  readonly path: string
  /** Undefined when the client went away before an answer began. 101 for a WebSocket. */
  readonly status: number | undefined
  /** Of the bodies; of a WebSocket what went each way once it was open. */
  readonly bytesIn: number
  readonly bytesOut: number
  /** Until the last byte was handed to the client's connection. */
  readonly durationMs: number
  readonly app: { readonly id: string; readonly name: string } | undefined
  /** Which replica took it. */
  readonly replica: string | undefined
  /** `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0` */
  readonly protocol: string
  /** Why there was no good end, in a word or two. */
  readonly error: string | undefined
}

/**
 * What a plugin does inside the edges, for every request of every app: the default export of the module that `edge` in
 * its manifest names. All of it is synchronous and hot.
 *
 * It runs in each edge, a process without the kernel, its database and its secrets, as an unprivileged user: what it
 * gets is its data-only configuration, and the module must be readable by all. A tap that throws, returns a promise or
 * takes longer than 20 ms five times in a row is muted; then requests pass without it, so it is no gate. Taps of which
 * edges crash or hang three times within a minute are dropped, all of them, until they are other ones. `GET
 * /api/plugins` tells both.
 *
 * Headers, redirects, fixed answers and weights of a route need no tap: they are data, see the hook `routeResolve`.
 */
export interface EdgeDefinition<Config extends EdgeConfig = EdgeConfig> {
  /** As in the manifest. */
  readonly name: string
  /** Called when a request has found its route, before its password is asked for and before anything of it is forwarded. */
  request?(request: EdgeRequest, config: Config): EdgeRequestVerdict | undefined
  /** Called when an app's answer has begun. */
  response?(response: EdgeResponse, config: Config): EdgeResponseVerdict | undefined
  /** Called when it is over, for every request that came, those of no app included. */
  done?(outcome: EdgeOutcome, config: Config): void
}

/** Types the taps of a plugin's edge module. */
export function defineEdge<Config extends EdgeConfig = EdgeConfig>(
  definition: EdgeDefinition<Config>,
): EdgeDefinition<Config> {
  return definition
}

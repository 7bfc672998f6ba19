import type { IncomingMessage } from 'node:http'
import type { TableRoute } from '@rivetr/sdk'
import type { EdgeOutcome, EdgeRequest, FieldChanges } from '@rivetr/sdk/edge'
import type { Target } from './host.ts'
import type { Taps } from './taps.ts'

/** One request or upgrade, from its arrival to its end, and what is found out about it on the way. */
export class Visit {
  readonly atMs = Date.now()
  readonly #startedMs = performance.now()
  readonly req: IncomingMessage
  readonly requestId: string
  /** Who is at the other end of the connection. */
  readonly peer: string
  /** Whom the request is from: the peer, or who it says where it is a trusted proxy. */
  readonly client: string
  target: Target | undefined
  route: TableRoute | undefined
  replica: string | undefined
  /** Those that were there when it came, to its end; undefined where there are none. */
  readonly taps: Taps | undefined
  /** As taps see it, once they have. */
  seen: EdgeRequest | undefined
  /** What taps want the app to get, by lower-case names. */
  fieldChanges: FieldChanges | undefined
  /** Why it does not end well: the first reason counts. */
  error: string | undefined
  /** It is a WebSocket that the app has accepted. */
  upgraded = false
  /** Of the bodies. */
  bytesIn = 0
  bytesOut = 0

  constructor(req: IncomingMessage, requestId: string, peer: string, client: string, taps: Taps | undefined) {
    this.req = req
    this.requestId = requestId
    this.peer = peer
    this.client = client
    this.taps = taps
  }

  /** A copy: nothing that taps do with it changes how the request is read. */
  show(target: Target, { app }: TableRoute): EdgeRequest {
    const { req, requestId, client } = this
    const { host } = target
    const path = pathOf(target.path)
    const query = target.path.slice(path.length + 1)
    const headers = { ...req.headers }
    this.seen = { id: requestId, method: req.method ?? '', host, path, query, headers, client, app }
    return this.seen
  }

  outcome(status: number | undefined): EdgeOutcome {
    const { req, target, route } = this
    return {
      atMs: this.atMs,
      requestId: this.requestId,
      client: this.client,
      method: req.method ?? '',
      host: target?.host,
      path: pathOf(target?.path ?? req.url ?? ''),
      status,
      bytesIn: this.bytesIn,
      bytesOut: this.bytesOut,
      durationMs: performance.now() - this.#startedMs,
      app: route?.app,
      replica: this.replica,
      protocol: `HTTP/${req.httpVersion}`,
      error: this.error,
    }
  }
}

function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}

import type { z } from 'zod'
import type { Access, Principal } from './access.ts'
import type { EdgeConfig } from './edge/index.ts'

type Shape = z.ZodType
type Out<T extends Shape | undefined> = T extends Shape ? z.output<T> : undefined

/** What a handler gets: everything already checked against the route's shapes. */
export interface RouteRequest<
  Params extends Shape | undefined,
  Query extends Shape | undefined,
  Body extends Shape | undefined,
> {
  /** `anonymous` on public routes when nobody signed in. */
  readonly principal: Principal
  readonly params: Out<Params>
  readonly query: Out<Query>
  readonly body: Out<Body>
  /** The bytes as received, for routes with `rawBody`. */
  readonly rawBody: Uint8Array
  /** The bytes as they come, for routes with `bodyStream`; empty for others. Throws `too_large` past the limit. */
  readonly bodyStream: AsyncIterable<Uint8Array>
  /** Lower-case names; repeated headers as a list. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly cookies: Readonly<Record<string, string>>
  readonly ip: string
  readonly requestId: string
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal
  /** For streams: the client asked to go on listening (`Accept: text/event-stream`, or a WebSocket). */
  readonly follow: boolean
}

/** What a `Reply` adds to its body. */
export interface ReplyOptions {
  status?: number
  headers?: Record<string, string>
  /** `value: null` deletes it. Always HttpOnly, SameSite=Lax, path /; Secure with the `__Host-` prefix over TLS. */
  cookie?: { name: string; value: string | null; maxAgeMs?: number }
}

/** An answer with more than data: another status, a header, a cookie. */
export class Reply<T> {
  readonly body: T
  readonly options: ReplyOptions
  constructor(body: T, options: ReplyOptions) {
    this.body = body
    this.options = options
  }
}

interface RouteTerms<
  Params extends Shape | undefined,
  Query extends Shape | undefined,
  Body extends Shape | undefined,
  Returns extends Shape,
> {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Whole path with `:name` parts: `/api/apps/:id`. */
  path: string
  /** One line for the API document. */
  summary: string
  /** Who may call it; a route without it does not compile. */
  access: Access
  params?: Params
  query?: Query
  body?: Body
  /** Takes any body as bytes; no other body shape then. */
  rawBody?: { limitBytes: number }
  /** The same as a stream, for bodies that do not belong into memory. What the handler leaves is not read. */
  bodyStream?: { limitBytes: number }
  /** Shape of the answer, or of one item of a stream. */
  returns: Returns
  /** Default 200. */
  status?: 200 | 201 | 202 | 204
}

/** A route whose handler returns one answer. */
export interface DataRoute<
  Params extends Shape | undefined,
  Query extends Shape | undefined,
  Body extends Shape | undefined,
  Returns extends Shape,
> extends RouteTerms<Params, Query, Body, Returns> {
  stream?: false
  socket?: false
  download?: undefined
  handler(request: RouteRequest<Params, Query, Body>): Promise<z.input<Returns> | Reply<z.input<Returns>>>
}

/**
 * Answers `{ items }` as JSON, or one server-sent event per item (its `id` is the item's `seq`) where the client asks for that.
 * Over a WebSocket each message is one item or more, a line of JSON for each.
 */
export interface StreamRoute<
  Params extends Shape | undefined,
  Query extends Shape | undefined,
  Body extends Shape | undefined,
  Returns extends Shape,
> extends RouteTerms<Params, Query, Body, Returns> {
  stream: true
  socket?: false
  download?: undefined
  handler(request: RouteRequest<Params, Query, Body>): AsyncIterable<z.input<Returns>>
}

/** A WebSocket (RFC 6455) that a route has taken over. */
export interface RouteSocket {
  /** What the client sends, at most 64 KiB at a time; ends when it has gone. To be read once. */
  readonly incoming: AsyncIterable<string | Uint8Array>
  /** Text goes as text, bytes as bytes. Resolves when it has left: who waits for it is never ahead of a slow client. */
  send(message: string | Uint8Array): Promise<void>
}

/**
 * Takes a WebSocket. Origin and permission are asked like for any other route, and again and again while it is open; opening it
 * is audited. It is closed when the handler ends; of an error it is told `{ error }` before.
 */
export interface SocketRoute<
  Params extends Shape | undefined,
  Query extends Shape | undefined,
  Body extends Shape | undefined,
  Returns extends Shape,
> extends RouteTerms<Params, Query, Body, Returns> {
  method: 'GET'
  stream?: false
  socket: true
  download?: undefined
  /** `request.signal` aborts when the client goes, may not any more, or Rivetr stops. */
  handler(request: RouteRequest<Params, Query, Body>, socket: RouteSocket): Promise<void>
}

/** A file that a client keeps. */
export interface Download {
  /** What no file name may hold is encoded, and folders are left out. */
  readonly fileName: string
  /**
   * Bytes, or text as UTF-8. Taken no faster than the client takes them, and left (`return`) when it goes. An error before the
   * first piece is answered like any other; after it the connection is cut, so that nobody takes a part for the whole.
   */
  readonly content: AsyncIterable<string | Uint8Array>
}

/** Answers with a file, however long. Who may not any more, or still reads when Rivetr stops, is cut off. */
export interface DownloadRoute<
  Params extends Shape | undefined,
  Query extends Shape | undefined,
  Body extends Shape | undefined,
  Returns extends Shape,
> extends RouteTerms<Params, Query, Body, Returns> {
  method: 'GET'
  stream?: false
  socket?: false
  /** The media type: `text/plain; charset=utf-8`. `returns` only tells the API document what is in the file. */
  download: string
  handler(request: RouteRequest<Params, Query, Body>): Promise<Download>
}

/** A route with its shapes forgotten, as the host keeps it. */
export type AnyRoute = RouteTerms<Shape | undefined, Shape | undefined, Shape | undefined, Shape> & {
  stream?: boolean
  socket?: boolean
  download?: string | undefined
  handler(
    request: RouteRequest<Shape, Shape, Shape>,
    socket?: RouteSocket,
  ): Promise<unknown> | AsyncIterable<unknown>
}

/** Types a route's handler from its shapes. */
export function defineRoute<
  Returns extends Shape,
  Params extends Shape | undefined = undefined,
  Query extends Shape | undefined = undefined,
  Body extends Shape | undefined = undefined,
>(
  route:
    | DataRoute<Params, Query, Body, Returns>
    | StreamRoute<Params, Query, Body, Returns>
    | SocketRoute<Params, Query, Body, Returns>
    | DownloadRoute<Params, Query, Body, Returns>,
): AnyRoute {
  return route as unknown as AnyRoute
}

/** A dashboard page that is data: the dashboard draws it from an API path. */
export interface PageContribution {
  /** Part of its address: `/x/<plugin>/<id>`. */
  id: string
  title: string
  /** Path of the API that yields its data. */
  data: string
  view: 'table' | 'form' | 'chart' | 'log'
}

/** A small panel on the dashboard's home or an app's page. */
export interface WidgetContribution extends PageContribution {
  place: 'home' | 'app'
}

/** A plugin's module for the edges, as its manifest names it. */
export interface EdgeContribution {
  readonly plugin: string
  /** Of the plugin. */
  readonly version: string
  /** Absolute path. */
  readonly file: string
  /** What its taps get: plain data. */
  readonly config: EdgeConfig
}

import { ApiError, errorOf } from './api-error.ts'
import { readEvents } from './event-source.ts'

/** Some calls wait for work to end (a cancellation, a route on all edges); none takes longer than this. */
const answerLimitMs = 120_000

/** `fetch`, or something like it: another transport for the same requests. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/** Where Rivetr is and how to get in. */
export interface ClientOptions {
  /** Where Rivetr is, without `/api`: `https://rivetr.example.com`; in a browser `''` for the page's own host. */
  baseUrl: string
  /** `rvt_…`; without it a browser's session cookie is used. */
  apiKey?: string | undefined
  fetch?: Fetch | undefined
  /** How messages name where Rivetr is, when the transport makes the address meaningless. */
  place?: string | undefined
  /** Ends every call. */
  signal?: AbortSignal | undefined
}

/** Query parameters; undefined ones are left out. */
export type Query = Record<string, string | number | undefined>

/** Sends requests and turns failures into `ApiError`. */
export class Transport {
  readonly #options: ClientOptions

  constructor(options: ClientOptions) {
    this.#options = options
  }

  /** One request and its JSON answer; `undefined` for 204. Errors: `ApiError`. */
  async call<T>(
    method: string,
    path: string,
    more: { query?: Query | undefined; body?: unknown } = {},
  ): Promise<T> {
    const limit = AbortSignal.timeout(answerLimitMs)
    const headers = more.body === undefined ? {} : { 'content-type': 'application/json' }
    const body = more.body === undefined ? null : JSON.stringify(more.body)
    const response = await this.#send(withQuery(path, more.query), { method, headers, body }, limit)
    return response.status === 204 ? (undefined as T) : ((await jsonOf(response)) as T)
  }

  /** The same with a body that is sent as it comes, however long that takes, until the signal aborts. */
  async upload<T>(
    method: string,
    path: string,
    more: { query?: Query | undefined; body: ReadableStream<Uint8Array>; signal?: AbortSignal | undefined },
  ): Promise<T> {
    const headers = { 'content-type': 'application/octet-stream' }
    const init = { method, headers, body: more.body, duplex: 'half' } as const
    return (await jsonOf(await this.#send(withQuery(path, more.query), init, more.signal))) as T
  }

  /** The bytes of a file as they come. Errors: `ApiError`; while they are read, whatever the connection came to. */
  async download(path: string, query?: Query, signal?: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const response = await this.#send(withQuery(path, query), { method: 'GET', headers: {} }, signal)
    return response.body ?? new Blob([]).stream()
  }

  /** The events of a stream, until it ends or the signal aborts. Errors: `ApiError`; the signal's reason. */
  async *follow<T>(path: string, query?: Query, signal?: AbortSignal): AsyncGenerator<T> {
    const headers = { accept: 'text/event-stream' }
    const response = await this.#send(withQuery(path, query), { method: 'GET', headers }, signal)
    if (response.body === null) return
    try {
      yield* readEvents<T>(response.body)
    } catch (error) {
      signal?.throwIfAborted()
      throw error instanceof ApiError ? error : unreachable(this.#place, error)
    }
  }

  get #place(): string {
    return this.#options.place ?? (this.#options.baseUrl || 'this address')
  }

  async #send(
    path: string,
    init: RequestInit & { headers: Record<string, string> },
    signal?: AbortSignal,
  ): Promise<Response> {
    const { baseUrl, apiKey, fetch = globalThis.fetch, signal: always } = this.#options
    if (apiKey !== undefined) init.headers.authorization = `Bearer ${apiKey}`
    const signals = [signal, always].filter((one) => one !== undefined)
    let response: Response
    try {
      response = await fetch(`${baseUrl.replace(/\/$/, '')}${path}`, {
        ...init,
        signal: AbortSignal.any(signals),
      })
    } catch (error) {
      always?.throwIfAborted()
      throw unreachable(this.#place, error)
    }
    if (response.ok) return response
    throw errorOf(response.status, await jsonOf(response))
  }
}

function withQuery(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query))
    if (value !== undefined) parameters.set(name, String(value))
  return parameters.size === 0 ? path : `${path}?${parameters}`
}

async function jsonOf(response: Response): Promise<unknown> {
  try {
    return await response.json()
  } catch {
    return undefined // what is in between (an edge, another server) may answer with something else
  }
}

function unreachable(place: string, cause: unknown): ApiError {
  const inner = (cause as { cause?: unknown }).cause ?? cause
  const why = inner instanceof Error ? inner.message : String(inner)
  return new ApiError('unreachable', 0, `Rivetr does not answer at ${place}: ${why}`, { cause })
}

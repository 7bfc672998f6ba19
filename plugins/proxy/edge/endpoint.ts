import type { Upstream } from '@rivetr/sdk'
import type { Dispatcher, Client as UndiciClient } from 'undici'
import Client from 'undici/lib/dispatcher/client.js'
import Pool from 'undici/lib/dispatcher/pool.js'

type ClientOptions = UndiciClient.Options

export interface EndpointSettings {
  readonly connectTimeoutMs: number
  readonly streamIdleTimeoutMs: number
}

/** More requests than this at once wait for a connection; far above what one replica answers well. */
const connectionsPerEndpoint = 1_024

/** A replica's endpoint, its connections, and what is on its way there. */
export class Endpoint {
  readonly replica: string
  readonly address: string
  readonly port: number
  /** Requests and upgraded connections that have not ended. */
  inFlight = 0
  /** Requests since the table that brought it. */
  served = 0
  readonly pool: Dispatcher
  readonly #origin: string
  readonly #options: ClientOptions

  constructor(upstream: Upstream, settings: EndpointSettings) {
    this.replica = upstream.replica
    this.address = upstream.address
    this.port = upstream.port
    this.#origin = `http://${upstream.address.includes(':') ? `[${upstream.address}]` : upstream.address}:${upstream.port}`
    this.#options = {
      pipelining: 1,
      connectTimeout: settings.connectTimeoutMs,
      headersTimeout: 0, // `forward` has its own, which begins when the request was sent whole
      bodyTimeout: settings.streamIdleTimeoutMs,
      keepAliveTimeout: 4_000, // below the 5 s after which Node and many others close an idle connection
      maxHeaderSize: 64 * 1024,
    }
    this.pool = new Pool(this.#origin, { ...this.#options, connections: connectionsPerEndpoint })
  }

  /** A connection that no earlier request has used. Closed by itself after its one request. */
  freshConnection(): Dispatcher {
    return new Client(this.#origin, { ...this.#options, pipelining: 0 })
  }

  /** Lets what is on its way finish, then closes the connections. */
  retire(): void {
    this.pool.close().catch(() => undefined) // it was closed before
  }
}

/** Identity over tables: a new replica on a reused address never gets the old one's connections. */
export function endpointKey(upstream: Upstream): string {
  return `${upstream.replica} ${upstream.address} ${upstream.port}`
}

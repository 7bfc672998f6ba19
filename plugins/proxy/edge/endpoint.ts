import type { Upstream } from '@rivetr/sdk'
import type { ConnectionSettings } from './connection.ts'
import { Connections } from './connections.ts'

/** A replica's endpoint, its connections, and what is on its way there. */
export class Endpoint {
  readonly replica: string
  readonly address: string
  readonly port: number
  /** Requests and upgraded connections that have not ended. */
  inFlight = 0
  /** Requests since the table that brought it. */
  served = 0
  readonly connections: Connections

  constructor(upstream: Upstream, settings: ConnectionSettings) {
    this.replica = upstream.replica
    this.address = upstream.address
    this.port = upstream.port
    this.connections = new Connections(upstream.address, upstream.port, settings)
  }
}

/** Identity over tables: a new replica on a reused address never gets the old one's connections. */
export function endpointKey(upstream: Upstream): string {
  return `${upstream.replica} ${upstream.address} ${upstream.port}`
}

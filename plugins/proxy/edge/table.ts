import type { TableRoute } from '@rivetr/sdk'
import type { TableContent } from '../launcher/protocol.ts'
import { type Choice, choose } from './balancer.ts'
import { Certificates } from './certificates.ts'
import { Challenges } from './challenges.ts'
import type { ConnectionSettings } from './connection.ts'
import { Endpoint, endpointKey } from './endpoint.ts'
import { RouteTable } from './route-table.ts'

/** The table in force with the endpoints that it names. */
export class Table {
  /** The same one as long as its certificates are: thousands of hosts are not gone through for every deployment. */
  certificates = new Certificates()
  challenges = new Challenges()
  /** For hosts that no certificate covers. */
  fallback: TableContent['fallback']
  #routes: RouteTable | undefined
  #certificateList: TableContent['certificates']
  #choices = new Map<TableRoute, Choice[]>()
  #endpoints = new Map<string, Endpoint>()
  /** Left the table, but something is still on its way to them. */
  readonly #leaving = new Set<Endpoint>()
  readonly #settings: ConnectionSettings

  constructor(settings: ConnectionSettings) {
    this.#settings = settings
  }

  /** False until the first table came: then nobody can say that a host is unknown. */
  get known(): boolean {
    return this.#routes !== undefined
  }

  /** Connections to endpoints that stay are kept; those to endpoints that left close once their requests have ended. */
  replace(data: TableContent): void {
    const before = this.#endpoints
    const endpoints = new Map<string, Endpoint>()
    const choices = new Map<TableRoute, Choice[]>()
    for (const route of data.routes) {
      choices.set(
        route,
        route.upstreams.map((upstream) => {
          const key = endpointKey(upstream)
          const endpoint = endpoints.get(key) ?? before.get(key) ?? new Endpoint(upstream, this.#settings)
          endpoint.served = 0
          endpoints.set(key, endpoint)
          return { endpoint, weight: upstream.weight }
        }),
      )
    }
    this.#routes = new RouteTable(data.routes)
    if (data.certificates !== this.#certificateList) this.certificates = new Certificates(data.certificates)
    this.#certificateList = data.certificates
    this.challenges = new Challenges(data.challenges)
    this.fallback = data.fallback
    this.#choices = choices
    this.#endpoints = endpoints
    for (const [key, endpoint] of before) {
      if (endpoints.has(key)) continue
      this.#leaving.add(endpoint)
      endpoint.connections.retire()
    }
  }

  find(host: string, path: string): TableRoute | undefined {
    return this.#routes?.find(host, path)
  }

  isAmbiguous(host: string, path: string, found: TableRoute): boolean {
    return this.#routes?.isAmbiguous(host, path, found) === true
  }

  /** The endpoint whose turn it is; undefined when no upstream of the route takes requests. */
  choose(route: TableRoute): Endpoint | undefined {
    return choose(this.#choices.get(route) ?? [])
  }

  inFlight(): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const endpoint of this.#leaving) if (endpoint.inFlight === 0) this.#leaving.delete(endpoint)
    for (const { replica, inFlight } of [...this.#endpoints.values(), ...this.#leaving]) {
      if (inFlight > 0) counts[replica] = (counts[replica] ?? 0) + inFlight
    }
    return counts
  }
}

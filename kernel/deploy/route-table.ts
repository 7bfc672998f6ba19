import type {
  App,
  Certificates,
  Clock,
  Logger,
  RouteTable,
  TableRoute,
  TableSecurity,
  Traffic,
  Upstream,
} from '@rivetr/sdk'
import { appViews } from '../data/app-view.ts'
import type { Database } from '../data/database.ts'
import { AppRow, ReplicaRow, RouteRow } from '../data/entities/index.ts'
import { nextEpoch } from '../data/facts.ts'
import type { HookHost } from '../host/hook-host.ts'
import { errorFields } from '../host/logger.ts'
import { tableRoute } from './table-route.ts'

/** Pause before a table that no edge took is sent again. */
const retryMs = 1_000

export interface RouteTablesParts {
  readonly database: Database
  readonly hooks: HookHost
  readonly clock: Clock
  readonly log: Logger
  traffic(): Traffic
  certificates(): Certificates | undefined
}

/** The table of the edges: computed from rows, whole, one at a time, each with the next generation. */
export class RouteTables {
  readonly #parts: RouteTablesParts
  #epoch: number | undefined
  #generation = 0
  #published = new Set<string>()
  #last: Promise<void> = Promise.resolve()
  /** Asked for, and not begun: whoever asks meanwhile gets the same table. */
  #next: Promise<void> | undefined
  #security: TableSecurity = { certificates: [], challenges: [] }
  #ensured: { readonly by: Certificates; readonly hosts: string } | undefined

  constructor(parts: RouteTablesParts) {
    this.#parts = parts
  }

  /** Resolves when every edge has a table that is at least as new as the rows are now. */
  publish(): Promise<void> {
    if (this.#next !== undefined) return this.#next
    const next = this.#last
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined
        return this.#publish()
      })
    this.#next = next
    this.#last = next
    next.catch(() => undefined)
    return next
  }

  /** The same until it succeeds: past the commit point there is no way back. */
  async publishForCertain(signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        return await this.publish()
      } catch (error) {
        this.#parts.log.error('the route table was not taken by the edges; trying again', errorFields(error))
        await this.#parts.clock.sleep(retryMs, signal)
      }
    }
  }

  async #publish(): Promise<void> {
    const { hooks, database } = this.#parts
    const traffic = this.#parts.traffic()
    this.#epoch ??= await nextEpoch(database, (await traffic.stats()).epoch)
    const table = await this.#compute()
    this.#generation += 1
    await traffic.apply(table, this.#epoch, this.#generation)
    const now = new Set(table.routes.map(({ host, path }) => host + path))
    const added = [...now].filter((route) => !this.#published.has(route))
    const removed = [...this.#published].filter((route) => !now.has(route))
    this.#published = now
    if (added.length + removed.length > 0) hooks.notify('routesChanged', { added, removed })
    this.#ensureCertificates(table)
  }

  /** Not waited for: a certificate takes its time, and the routes do not wait for it. */
  #ensureCertificates({ routes }: RouteTable): void {
    const by = this.#parts.certificates()
    if (by === undefined) return
    const hosts = [...new Set(routes.map(({ host }) => host))]
    if (this.#ensured?.by === by && this.#ensured.hosts === hosts.join(' ')) return
    this.#ensured = { by, hosts: hosts.join(' ') }
    by.ensure(hosts).catch((error: unknown) => {
      this.#ensured = undefined
      this.#parts.log.error('the certificates of the routes are not looked after', errorFields(error))
    })
  }

  async #compute(): Promise<RouteTable> {
    const { rows } = this.#parts.database
    const routes = await rows.find(RouteRow, {}, { orderBy: { host: 'asc', path: 'asc' } })
    const apps = await rows.find(AppRow, {})
    const live = new Map(
      apps.flatMap(({ id, liveDeployment }) => (liveDeployment ? [[liveDeployment, id] as const] : [])),
    )
    const upstreams = new Map<string, Upstream[]>()
    for (const replica of await rows.find(ReplicaRow, { state: 'ready' }, { orderBy: { id: 'asc' } })) {
      if (!live.has(replica.deployment) || !replica.address || !replica.port) continue
      const upstream = { replica: replica.id, address: replica.address, port: replica.port, weight: 1 }
      upstreams.set(replica.app, [...(upstreams.get(replica.app) ?? []), upstream])
    }
    const views = new Map((await appViews(rows, apps)).map((app) => [app.id, app]))
    const traffic = new Map(apps.map((app) => [app.id, app.traffic]))
    const resolved = await Promise.all(
      routes.map(async ({ app: id, host, path, options }) => {
        const app = views.get(id)
        if (app === undefined) return undefined
        const facts = { host, path, options, app, traffic: traffic.get(id) ?? null }
        return this.#resolve(tableRoute({ ...facts, upstreams: upstreams.get(id) ?? [] }), app)
      }),
    )
    return { routes: resolved.filter((route) => route !== undefined), ...(await this.#certificates()) }
  }

  /** A provider that fails must not take the certificates away that the edges have. */
  async #certificates(): Promise<TableSecurity> {
    try {
      this.#security = (await this.#parts.certificates()?.forTable()) ?? this.#security
    } catch (error) {
      this.#parts.log.error('the table keeps the certificates of the one before', errorFields(error))
    }
    return this.#security
  }

  /** One app's faulty tap must not take the routes of all others away: its route stays as the rows say. */
  async #resolve(route: TableRoute, app: App): Promise<TableRoute> {
    try {
      return await this.#parts.hooks.call('routeResolve', route, { app })
    } catch (error) {
      this.#parts.log.error(
        `the route ${route.host}${route.path} of app ${app.name} could not be resolved`,
        errorFields(error),
      )
      return route
    }
  }
}

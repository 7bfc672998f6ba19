import type {
  App,
  Clock,
  Principal,
  RouteSettings,
  Routes,
  TrafficChange,
  TrafficSettings,
  TrafficView,
} from '@rivetr/sdk'
import { assertMay } from '../data/access.ts'
import type { AppService } from '../data/apps.ts'
import { type Database, isDuplicate } from '../data/database.ts'
import { AppRow, RouteRow } from '../data/entities/index.ts'
import { insertRoutes, routeTaken, storedRoutes } from '../data/routes.ts'
import type { HookHost } from '../host/hook-host.ts'
import type { Pauses } from './pauses.ts'

export interface RouteServiceParts {
  readonly database: Database
  readonly apps: AppService
  readonly hooks: HookHost
  readonly clock: Clock
  readonly pauses: Pauses
  /** The table of the edges is to be computed anew. */
  publish(): Promise<void>
}

/** Routes and traffic of apps, for everyone outside the pipeline. */
export class RouteService implements Routes {
  readonly #parts: RouteServiceParts

  constructor(parts: RouteServiceParts) {
    this.#parts = parts
  }

  async list(principal: Principal, app: string): Promise<RouteSettings[]> {
    return (await this.#parts.apps.get(principal, app)).routes
  }

  async replace(
    principal: Principal,
    id: string,
    routes: readonly RouteSettings[],
  ): Promise<RouteSettings[]> {
    const before = await this.#writable(principal, id)
    const { database } = this.#parts
    const stored = await storedRoutes(routes, await database.rows.find(RouteRow, { app: before.id }))
    await database
      .transaction(async (rows) => {
        await rows.nativeDelete(RouteRow, { app: before.id })
        await insertRoutes(rows, before.id, stored)
        await rows.nativeUpdate(AppRow, { id: before.id }, { updatedAt: this.#now() })
      })
      .catch((error: unknown) => {
        throw isDuplicate(error) ? routeTaken(error) : error
      })
    return (await this.#changed(principal, before)).routes
  }

  async traffic(principal: Principal, id: string): Promise<TrafficView> {
    const { id: app } = await this.#parts.apps.get(principal, id)
    return this.#trafficOf(app)
  }

  async changeTraffic(principal: Principal, id: string, change: TrafficChange): Promise<TrafficView> {
    const before = await this.#writable(principal, id)
    await this.#parts.database.transaction(async (rows) => {
      const row = await rows.findOne(AppRow, { id: before.id })
      const traffic = applied(row?.traffic ?? {}, change)
      await rows.nativeUpdate(AppRow, { id: before.id }, { traffic, updatedAt: this.#now() })
    })
    await this.#changed(principal, before)
    return this.#trafficOf(before.id)
  }

  async pause(principal: Principal, id: string, limitMs: number): Promise<TrafficView> {
    const { id: app } = await this.#writable(principal, id)
    await this.#parts.pauses.pause(app, limitMs)
    return this.#trafficOf(app)
  }

  async resume(principal: Principal, id: string): Promise<TrafficView> {
    const { id: app } = await this.#writable(principal, id)
    await this.#parts.pauses.resume(app)
    return this.#trafficOf(app)
  }

  publish(): Promise<void> {
    return this.#parts.publish()
  }

  async #writable(principal: Principal, app: string): Promise<App> {
    assertMay(principal, 'apps:write')
    return this.#parts.apps.see(principal, app)
  }

  async #changed(principal: Principal, before: App): Promise<App> {
    await this.#parts.publish()
    const app = await this.#parts.apps.see(principal, before.id)
    this.#parts.hooks.notify('appUpdated', { app, before, by: principal })
    return app
  }

  async #trafficOf(app: string): Promise<TrafficView> {
    const row = await this.#parts.database.rows.findOne(AppRow, { id: app })
    const untilMs = this.#parts.pauses.until(app)
    return {
      ...row?.traffic,
      ...(untilMs === undefined ? {} : { pausedUntil: new Date(untilMs).toISOString() }),
    }
  }

  #now(): string {
    return new Date(this.#parts.clock.now()).toISOString()
  }
}

/** Absent stays, null clears. */
function applied(traffic: TrafficSettings, change: TrafficChange): TrafficSettings {
  const { maintenance = traffic.maintenance, errorPages = traffic.errorPages } = change
  return { ...(maintenance && { maintenance }), ...(errorPages && { errorPages }) }
}

import { randomUUIDv7 } from 'node:crypto'
import type { InferEntity } from '@mikro-orm/core'
import {
  type App,
  type AppChange,
  type AppDraft,
  type AppSettings,
  type Apps,
  type Clock,
  type EnvChange,
  type EnvEntry,
  type Page,
  type PageQuery,
  type Principal,
  RivetrError,
  type RouteSettings,
  type Rows,
} from '@rivetr/sdk'
import type { HookHost } from '../host/hook-host.ts'
import { assertMay, visibleApps } from './access.ts'
import { appViews } from './app-view.ts'
import { type Database, isDuplicate } from './database.ts'
import { AppRow, RouteRow } from './entities/index.ts'
import { changeEnvRows, envEntries } from './env.ts'
import { pageBy } from './paging.ts'
import type { SecretStore } from './secrets.ts'

type Row = InferEntity<typeof AppRow>

export interface AppServiceParts {
  readonly database: Database
  readonly secrets: SecretStore
  readonly hooks: HookHost
  readonly clock: Clock
  /** Checks that what an app names exists, and chooses its runtime. */
  plan(draft: AppDraft): Promise<{ runtime: string }>
  /** The table of the edges is to be computed anew. */
  publishRoutes(): Promise<void>
  /** Ends and removes all that runs or is stored for an app; its row is the last to go. */
  removeAll(app: App): Promise<void>
}

export class AppService implements Apps {
  readonly #parts: AppServiceParts

  constructor(parts: AppServiceParts) {
    this.#parts = parts
  }

  async list(principal: Principal, query: Partial<PageQuery> = {}): Promise<Page<App>> {
    assertMay(principal, 'apps:read')
    const page = await pageBy(this.#rows, AppRow, visibleApps(principal), query)
    return { ...page, items: await appViews(this.#rows, page.items) }
  }

  async get(principal: Principal, app: string): Promise<App> {
    assertMay(principal, 'apps:read')
    return this.#see(principal, app)
  }

  async create(principal: Principal, draft: AppDraft): Promise<App> {
    assertMay(principal, 'apps:write')
    await this.#validate(draft)
    const { runtime } = await this.#parts.plan(draft)
    const { name, source, env = {}, routes = [], runtime: _, ...settings } = draft
    const now = this.#now()
    const row = { id: randomUUIDv7(), name, runtime, source, settings, createdAt: now, updatedAt: now }
    await this.#write(name, async (rows) => {
      await rows.insert(AppRow, row)
      await insertRoutes(rows, row.id, routes)
      await changeEnvRows(rows, this.#parts.secrets, row.id, { set: env, unset: [] }, now)
    })
    const app = await this.#see(principal, row.id)
    this.#parts.hooks.notify('appCreated', { app, by: principal })
    if (routes.length > 0) await this.#parts.publishRoutes()
    return app
  }

  async update(principal: Principal, id: string, change: AppChange): Promise<App> {
    assertMay(principal, 'apps:write')
    const row = await this.#find(principal, id)
    const before = await this.#view(row)
    const { name = row.name, source = row.source, ...changes } = change
    const settings = applied(row.settings, changes)
    await this.#validate({ name, source, runtime: row.runtime, ...settings }, before)
    await this.#parts.plan({ name, source, runtime: row.runtime, ...settings })
    await this.#write(name, async (rows) => {
      await rows.nativeUpdate(AppRow, { id: row.id }, { name, source, settings, updatedAt: this.#now() })
    })
    const app = await this.#see(principal, row.id)
    this.#parts.hooks.notify('appUpdated', { app, before, by: principal })
    return app
  }

  async remove(principal: Principal, id: string): Promise<void> {
    assertMay(principal, 'apps:write')
    const app = await this.#see(principal, id)
    await this.#parts.hooks.call('preAppDelete', { app, by: principal })
    await this.#parts.removeAll(app)
    this.#parts.hooks.notify('appDeleted', { app, by: principal })
  }

  async env(principal: Principal, id: string): Promise<EnvEntry[]> {
    assertMay(principal, 'apps:read')
    return envEntries(this.#rows, (await this.#find(principal, id)).id)
  }

  async changeEnv(principal: Principal, id: string, change: EnvChange): Promise<EnvEntry[]> {
    assertMay(principal, 'apps:write')
    const before = await this.#see(principal, id)
    const now = this.#now()
    await this.#parts.database.transaction(async (rows) => {
      await changeEnvRows(rows, this.#parts.secrets, before.id, change, now)
      await rows.nativeUpdate(AppRow, { id: before.id }, { envChangedAt: now, updatedAt: now })
    })
    this.#parts.hooks.notify('appUpdated', {
      app: await this.#see(principal, before.id),
      before,
      by: principal,
    })
    return envEntries(this.#rows, before.id)
  }

  async routes(principal: Principal, id: string): Promise<RouteSettings[]> {
    return (await this.get(principal, id)).routes
  }

  async replaceRoutes(
    principal: Principal,
    id: string,
    routes: readonly RouteSettings[],
  ): Promise<RouteSettings[]> {
    assertMay(principal, 'apps:write')
    const before = await this.#see(principal, id)
    await this.#write(before.name, async (rows) => {
      await rows.nativeDelete(RouteRow, { app: before.id })
      await insertRoutes(rows, before.id, routes)
      await rows.nativeUpdate(AppRow, { id: before.id }, { updatedAt: this.#now() })
    })
    await this.#parts.publishRoutes()
    const app = await this.#see(principal, before.id)
    this.#parts.hooks.notify('appUpdated', { app, before, by: principal })
    return app.routes
  }

  get #rows(): Rows {
    return this.#parts.database.rows
  }

  #now(): string {
    return new Date(this.#parts.clock.now()).toISOString()
  }

  /** By id or by name; what the principal may not see is not there. */
  async #find(principal: Principal, app: string): Promise<Row> {
    const row = await this.#rows.findOne(AppRow, {
      $and: [visibleApps(principal), { $or: [{ id: app }, { name: app }] }],
    })
    if (!row) throw new RivetrError('not_found', `no app "${app}"; "rivetr apps list" shows all`)
    return row
  }

  /** Whoever may act on an app is told what came of it, although its scopes do not let it read. */
  async #see(principal: Principal, app: string): Promise<App> {
    return this.#view(await this.#find(principal, app))
  }

  async #view(row: Row): Promise<App> {
    const [view] = await appViews(this.#rows, [row])
    return view as App
  }

  async #validate(draft: AppDraft, before?: App): Promise<void> {
    const issues: { path: string; message: string }[] = []
    await this.#parts.hooks.call('appValidate', {
      draft,
      ...(before ? { before } : {}),
      issue: (path: string, message: string) => issues.push({ path, message }),
    })
    if (issues.length === 0) return
    throw new RivetrError(
      'invalid_input',
      issues.map(({ path, message }) => `${path}: ${message}`).join('; '),
      { details: { issues } },
    )
  }

  /** A name or a route that is taken is the one conflict that a write can meet. */
  async #write(name: string, work: (rows: Rows) => Promise<void>): Promise<void> {
    try {
      await this.#parts.database.transaction(work)
    } catch (error) {
      if (!isDuplicate(error)) throw error
      const route = /routes/.test(error instanceof Error ? error.message : '')
      throw new RivetrError(
        'conflict',
        route ? 'another route has this host and path already' : `an app named "${name}" is there already`,
        { cause: error },
      )
    }
  }
}

async function insertRoutes(rows: Rows, app: string, routes: readonly RouteSettings[]): Promise<void> {
  for (const { host, path } of routes) await rows.insert(RouteRow, { id: randomUUIDv7(), app, host, path })
}

/** Absent stays, null clears. */
function applied(settings: AppSettings, changes: Omit<AppChange, 'name' | 'source'>): AppSettings {
  const merged: Record<string, unknown> = { ...settings }
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) delete merged[key]
    else if (value !== undefined) merged[key] = value
  }
  return merged as AppSettings
}

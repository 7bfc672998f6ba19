import { randomUUIDv7 } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { InferEntity } from '@mikro-orm/core'
import {
  type App,
  type AppChange,
  type AppDraft,
  type AppSettings,
  type Apps,
  type Branch,
  type Clock,
  type EnvChange,
  type EnvEntry,
  type Page,
  type PageQuery,
  type Principal,
  RivetrError,
  type Rows,
  type SourceSettings,
} from '@rivetr/sdk'
import type { HookHost } from '../host/hook-host.ts'
import { assertMay, visibleApps } from './access.ts'
import { appViews } from './app-view.ts'
import { type Database, isDuplicate } from './database.ts'
import { AppRow } from './entities/index.ts'
import { changeEnvRows, envEntries } from './env.ts'
import { pageBy } from './paging.ts'
import { insertRoutes, routeTaken, storedRoutes } from './routes.ts'
import type { SecretStore } from './secrets.ts'

type Row = InferEntity<typeof AppRow>

export interface AppServiceParts {
  readonly database: Database
  readonly secrets: SecretStore
  readonly hooks: HookHost
  readonly clock: Clock
  /** Checks that what an app names exists, and chooses its runtime. */
  plan(draft: AppDraft): Promise<{ runtime: string; reason?: string }>
  /** Refuses a source that is wrong, or cannot be read with what is given. */
  checkSource(source: SourceSettings): Promise<void>
  branches(source: SourceSettings): Promise<Branch[]>
  /** The table of the edges is to be computed anew. */
  publishRoutes(): Promise<void>
  /** Ends all that runs for an app, for as long as nobody starts it. */
  stop(app: App, by: string): Promise<void>
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
    return this.see(principal, app)
  }

  async create(principal: Principal, draft: AppDraft): Promise<App> {
    assertMay(principal, 'apps:write')
    await this.#validate(draft)
    const { runtime, reason } = await this.#parts.plan(draft)
    if (draft.check !== false) await this.#parts.checkSource(draft.source)
    const {
      name,
      source,
      autoDeploy = true,
      watchPaths = [],
      env = {},
      routes = [],
      runtime: _,
      check: _check,
      ...settings
    } = draft
    const stored = await storedRoutes(routes, [])
    const now = this.#now()
    const pushes = { autoDeploy, watchPaths }
    const row = {
      id: randomUUIDv7(),
      name,
      runtime,
      runtimeReason: reason ?? null,
      source,
      ...pushes,
      settings,
      createdAt: now,
      updatedAt: now,
    }
    await this.#write(name, async (rows) => {
      await rows.insert(AppRow, row)
      await insertRoutes(rows, row.id, stored)
      await changeEnvRows(
        rows,
        this.#parts.secrets,
        row.id,
        { set: env, unset: [], revokeEarlier: false },
        now,
      )
    })
    const app = await this.see(principal, row.id)
    this.#parts.hooks.notify('appCreated', { app, by: principal })
    if (routes.length > 0) await this.#parts.publishRoutes()
    return app
  }

  async update(principal: Principal, id: string, change: AppChange): Promise<App> {
    assertMay(principal, 'apps:write')
    const row = await this.#find(principal, id)
    const before = await this.#view(row)
    const { name = row.name, source = row.source, check = true, ...rest } = change
    const { autoDeploy = row.autoDeploy, watchPaths = row.watchPaths, ...changes } = rest
    const settings = applied(row.settings, changes)
    const set = { name, source, autoDeploy, watchPaths }
    await this.#validate({ ...set, runtime: row.runtime, ...settings }, before)
    await this.#parts.plan({ ...set, runtime: row.runtime, ...settings })
    // What somebody has once saved does not keep the app from being changed.
    if (check && !isDeepStrictEqual(source, row.source)) await this.#parts.checkSource(source)
    await this.#write(name, async (rows) => {
      await rows.nativeUpdate(AppRow, { id: row.id }, { ...set, settings, updatedAt: this.#now() })
    })
    const app = await this.see(principal, row.id)
    this.#parts.hooks.notify('appUpdated', { app, before, by: principal })
    return app
  }

  async stop(principal: Principal, id: string): Promise<App> {
    assertMay(principal, 'apps:deploy')
    const before = await this.see(principal, id)
    await this.#parts.stop(before, principal.name)
    const app = await this.see(principal, before.id)
    this.#parts.hooks.notify('appUpdated', { app, before, by: principal })
    return app
  }

  async remove(principal: Principal, id: string): Promise<void> {
    assertMay(principal, 'apps:write')
    const app = await this.see(principal, id)
    await this.#parts.hooks.call('preAppDelete', { app, by: principal })
    await this.#parts.removeAll(app)
    this.#parts.hooks.notify('appDeleted', { app, by: principal })
  }

  async branches(principal: Principal, id: string): Promise<Branch[]> {
    return this.#parts.branches((await this.get(principal, id)).source)
  }

  async env(principal: Principal, id: string): Promise<EnvEntry[]> {
    assertMay(principal, 'apps:read')
    return envEntries(this.#rows, (await this.#find(principal, id)).id)
  }

  async changeEnv(principal: Principal, id: string, change: EnvChange): Promise<EnvEntry[]> {
    assertMay(principal, 'apps:write')
    const before = await this.see(principal, id)
    const now = this.#now()
    await this.#parts.database.transaction(async (rows) => {
      await changeEnvRows(rows, this.#parts.secrets, before.id, change, now)
      await rows.nativeUpdate(AppRow, { id: before.id }, { envChangedAt: now, updatedAt: now })
    })
    this.#parts.hooks.notify('appUpdated', {
      app: await this.see(principal, before.id),
      before,
      by: principal,
    })
    return envEntries(this.#rows, before.id)
  }

  /** Whoever may act on an app is told what came of it, although its scopes do not let it read. */
  async see(principal: Principal, app: string): Promise<App> {
    return this.#view(await this.#find(principal, app))
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
      if (isDuplicate(error, 'routes')) throw routeTaken(error)
      throw new RivetrError('conflict', `an app named "${name}" is there already`, { cause: error })
    }
  }
}

/** Absent stays, null clears. */
function applied(
  settings: AppSettings,
  changes: Omit<AppChange, 'name' | 'source' | 'autoDeploy' | 'watchPaths' | 'check'>,
): AppSettings {
  const merged: Record<string, unknown> = { ...settings }
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) delete merged[key]
    else if (value !== undefined) merged[key] = value
  }
  return merged as AppSettings
}

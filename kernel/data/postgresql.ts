import { setTimeout as sleep } from 'node:timers/promises'
import { type EntityMetadata, type EntityName, type EntityProperty, types } from '@mikro-orm/core'
import { MikroORM } from '@mikro-orm/postgresql'
import { RivetrError } from '@rivetr/sdk'
import type pg from 'pg'
import { type Dialect, type Manager, type Orm, ormOptions, refuseNewer, type Tables } from './dialect.ts'
import { asOurs, awayReason, isAway, isTakenBack, openingFault } from './postgresql-faults.ts'
import { InstanceLock, lostSession, SessionLost } from './postgresql-lock.ts'
import { answerLimitMs, cutSession, limitAnswers, sessionName, sessionOptions } from './postgresql-session.ts'
import { type PostgresqlTarget, parsePostgresqlUrl } from './postgresql-url.ts'
import { Turns } from './turns.ts'

const oldest = 13
/** How long a server that is away is waited for: by a boot, by a statement. */
const bootLimitMs = 30_000
const limitMs = 15_000
const pauseMs = 200
/** How long what is under way may take when Rivetr stops. */
const closeLimitMs = 5_000
/** Reads at the same time; of writers there is only ever one. */
const connections = 8

export interface PostgresqlOptions {
  readonly url: string
  /** Something that people should know about the connection. */
  readonly report?: ((text: string) => void) | undefined
  /** Another Rivetr has the database: this one has to stop. */
  readonly onTaken?: ((error: RivetrError) => void) | undefined
  /** How long a boot waits for a server that is away. */
  readonly bootLimitMs?: number | undefined
  /** How long a server may leave a statement without an answer. */
  readonly answerLimitMs?: number | undefined
}

/** Opens the database for this process alone. Errors: `data_unusable` with what is wrong and what to do. */
export async function openPostgresql(
  options: PostgresqlOptions,
  tables: readonly Tables[],
): Promise<PostgresqlDialect> {
  const target = parsePostgresqlUrl(options.url)
  const pool = new Connections(options.answerLimitMs)
  const lock = await whenUp(options.bootLimitMs ?? bootLimitMs, () =>
    InstanceLock.take({
      place: target.place,
      connect: (name) => sessionOptions(target, name),
      answerLimitMs: options.answerLimitMs,
      onAway: (error) => {
        options.report?.(lostSession(error))
        pool.cut(error)
      },
      onTaken: (error) => options.onTaken?.(error),
    }),
  ).catch((error: unknown) => {
    throw openingFault(error, target)
  })
  let orm: Orm | undefined
  try {
    await assertUsable(lock.session, target)
    const postgresql = await MikroORM.init({
      dbName: target.database,
      ensureDatabase: false,
      driverOptions: {
        ...(await sessionOptions(target, sessionName('data'))),
        onPoolCreated: (made: pg.Pool) => pool.watch(made),
      },
      pool: { min: 0, max: connections, idleTimeoutMillis: 60_000 },
      discovery: { onMetadata: asInSqlite },
      ...ormOptions('postgresql', tables),
    })
    orm = postgresql as unknown as Orm
    await refuseNewer(orm, target.place)
    return new PostgresqlDialect(orm, lock, pool, target)
  } catch (error) {
    if (orm !== undefined) await pool.close(orm)
    await lock.release()
    throw openingFault(error, target)
  }
}

/** One writer at a time by construction: a queue in this process, and a lock of writers in the database. */
export class PostgresqlDialect implements Dialect {
  readonly name = 'postgresql'
  readonly orm: Orm
  readonly place: string
  readonly #lock: InstanceLock
  readonly #pool: Connections
  readonly #writers = new Turns(1)
  readonly #closing = new AbortController()

  constructor(orm: Orm, lock: InstanceLock, pool: Connections, { place }: PostgresqlTarget) {
    this.orm = orm
    this.place = place
    this.#lock = lock
    this.#pool = pool
  }

  read<T>(ask: (em: Manager) => Promise<T>): Promise<T> {
    return this.#patiently(Date.now() + limitMs, () => ask(this.orm.em.fork()))
  }

  /** A transaction, too: so it has its turn, is refused without the lock, and is done once although its answer got lost. */
  write<T>(ask: (em: Manager) => Promise<T>): Promise<T> {
    return this.transaction(ask)
  }

  transaction<T>(work: (em: Manager) => Promise<T>): Promise<T> {
    return this.#inTurn((giveUpAt) => this.#patiently(giveUpAt, () => this.#attempt(work)))
  }

  alter(work: () => Promise<void>): Promise<void> {
    return this.#inTurn((giveUpAt) => this.#patiently(giveUpAt, () => this.#pool.unhurried(work)))
  }

  /** SQLite has nothing before everything, PostgreSQL after it. */
  asked(entity: EntityName, options: unknown): unknown {
    const { orderBy } = (options ?? {}) as { orderBy?: unknown }
    if (orderBy === undefined) return options
    const { properties } = this.orm.getMetadata(entity as never) as unknown as EntityMetadata
    const arranged = (Array.isArray(orderBy) ? orderBy : [orderBy]).map((each: Record<string, unknown>) =>
      Object.fromEntries(
        Object.entries(each).map(([field, way]) => [
          field,
          (properties as Record<string, EntityProperty>)[field]?.nullable === true && typeof way === 'string'
            ? nullsAsInSqlite(way)
            : way,
        ]),
      ),
    )
    return { ...(options as object), orderBy: arranged }
  }

  /** A value in the rows that shows that nobody else was at work since. */
  remember(claim: string): void {
    this.#lock.remember(claim)
  }

  async close(): Promise<void> {
    this.#closing.abort(new RivetrError('unavailable', 'Rivetr stops'))
    await this.#pool.close(this.orm)
    await this.#lock.release()
  }

  /** The wait counts, so that a server that is away keeps nobody longer than the limit. */
  async #inTurn<T>(work: (giveUpAt: number) => Promise<T>): Promise<T> {
    const giveUpAt = Date.now() + limitMs
    const late = AbortSignal.timeout(limitMs)
    try {
      return await this.#writers.take(
        AbortSignal.any([late, this.#closing.signal]),
        () => undefined,
        () => work(giveUpAt),
      )
    } catch (error) {
      if (error === late.reason) throw this.#away('other writes have not ended', error)
      throw error
    }
  }

  async #attempt<T>(work: (em: Manager) => Promise<T>): Promise<T> {
    let done: { readonly xid: string; readonly result: T } | undefined
    try {
      return await this.orm.em.fork().transactional(async (em) => {
        const xid = await this.#lock.enter(em)
        const result = await work(em)
        done = { xid, result }
        return result
      })
    } catch (error) {
      if (done === undefined || !isAway(error)) throw error
      if (await this.#committed(done.xid)) return done.result
      throw error
    }
  }

  /** The answer to a commit got lost: what came of it is asked for until it is known, so nothing is ever done twice. */
  async #committed(xid: string): Promise<boolean> {
    for (;;) {
      this.#closing.signal.throwIfAborted()
      try {
        const [row] = await this.orm.em.execute<{ status: string | null }[]>(
          `select pg_xact_status('${xid}'::xid8) as status`,
        )
        if (row?.status === 'committed') return true
        if (row?.status !== 'in progress') return false
      } catch (error) {
        if (!isAway(error)) throw error
      }
      await sleep(pauseMs)
    }
  }

  /** Again and again while the server is away. Errors: `unavailable` when that takes too long. */
  async #patiently<T>(giveUpAt: number, ask: () => Promise<T>): Promise<T> {
    for (;;) {
      this.#closing.signal.throwIfAborted()
      try {
        return await ask()
      } catch (error) {
        const lost = error instanceof SessionLost
        if (!lost && !isAway(error) && !isTakenBack(error)) throw asOurs(error, this.place)
        if (Date.now() > giveUpAt) throw lost ? error : this.#away(awayReason(error), error)
      }
      await sleep(pauseMs)
    }
  }

  #away(reason: string, cause: unknown): RivetrError {
    return new RivetrError(
      'unavailable',
      `the database ${this.place} has been away for more than ${limitMs / 1000} s (${reason}); see to its server, then try again`,
      { cause },
    )
  }
}

/** The connections of the pool: none of them waits for a server for ever. */
class Connections {
  readonly #limitMs: number
  readonly #cuts = new Set<(error: Error) => void>()
  #unhurried = 0

  constructor(limitMs = answerLimitMs) {
    this.#limitMs = limitMs
  }

  watch(pool: pg.Pool): void {
    pool.on('connect', (client) => {
      const cut = (error: Error) => cutSession(client, error)
      this.#cuts.add(cut)
      client.once('end', () => this.#cuts.delete(cut))
      limitAnswers(client, () => (this.#unhurried > 0 ? undefined : this.#limitMs))
      letDeadConnectionsGo(client)
    })
  }

  cut(error: Error): void {
    for (const cut of this.#cuts) cut(error)
  }

  /** Changes of large tables take as long as they take. */
  async unhurried<T>(work: () => Promise<T>): Promise<T> {
    this.#unhurried += 1
    try {
      return await work()
    } finally {
      this.#unhurried -= 1
    }
  }

  async close(orm: Orm): Promise<void> {
    const late = setTimeout(() => this.cut(new Error('Rivetr stops')), closeLimitMs)
    await orm.close(true)
    clearTimeout(late)
  }
}

/**
 * Kysely gives a connection back only after a roll-back that went well, and never after a `begin` that did not: each one
 * that the server cut would be missing in the pool for ever. So both go well, on a connection that is ended: whatever
 * follows on it fails, and the server takes the transaction back.
 */
function letDeadConnectionsGo(client: pg.PoolClient): void {
  const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>
  const tolerant = (...args: unknown[]) => {
    const [statement] = args
    if (statement !== 'begin' && statement !== 'rollback') return query(...args)
    return query(...args).catch((error: Error) => {
      cutSession(client, error)
      return { command: statement.toUpperCase(), rowCount: null, rows: [] }
    })
  }
  Object.assign(client, { query: tolerant })
}

/** As SQLite keeps them: texts of any length, compared by their bytes, and JSON as it was written. */
function asInSqlite(meta: EntityMetadata): void {
  for (const property of Object.values(meta.properties) as EntityProperty[]) {
    const type: unknown = property.type
    if (property.columnTypes !== undefined) continue
    if (type === types.json) property.columnTypes = ['json']
    if (type !== types.string && type !== types.text) continue
    property.columnTypes = ['text']
    property.collation = 'C'
  }
}

function nullsAsInSqlite(way: string): string {
  if (/nulls/i.test(way)) return way
  return /^desc/i.test(way) ? 'desc nulls last' : 'asc nulls first'
}

async function assertUsable(session: pg.Client, { place, user, database }: PostgresqlTarget): Promise<void> {
  const { rows } = await session.query<Server>(
    `select current_setting('server_version_num')::int as version, current_setting('server_version') as "versionText",
      current_setting('server_encoding') as encoding, pg_is_in_recovery() as standby,
      current_schema() as schema, has_schema_privilege(current_schema(), 'create') as "mayCreate"`,
  )
  const fault = rows[0] && faultOfServer(rows[0], { user, database })
  if (fault !== undefined) throw new RivetrError('data_unusable', `the database ${place} ${fault}`)
}

export interface Server {
  readonly version: number
  readonly versionText: string
  readonly encoding: string
  readonly standby: boolean
  readonly schema: string | null
  readonly mayCreate: boolean | null
}

export function faultOfServer(
  { version, versionText, encoding, standby, schema, mayCreate }: Server,
  { user, database }: { readonly user: string; readonly database: string },
): string | undefined {
  if (version < oldest * 10_000)
    return `is on PostgreSQL ${versionText}; Rivetr needs ${oldest} or newer: upgrade the server`
  if (encoding !== 'UTF8')
    return `has the encoding ${encoding}; make one with: create database "${database}" encoding 'UTF8' template template0`
  if (standby) return 'is a standby, on which nothing can be written; give the address of the primary'
  if (schema === null || mayCreate !== true)
    return `does not let ${user} make tables; run in it: grant create, usage on schema ${schema ?? 'public'} to "${user}"`
  return undefined
}

async function whenUp<T>(limit: number, open: () => Promise<T>): Promise<T> {
  const giveUpAt = Date.now() + limit
  for (;;) {
    try {
      return await open()
    } catch (error) {
      if (RivetrError.is(error) || !isAway(error) || isUnknownName(error) || Date.now() > giveUpAt)
        throw error
    }
    await sleep(pauseMs)
  }
}

/** A name that nobody knows is a mistake, not a server that comes up. */
function isUnknownName(error: unknown): boolean {
  return (error as { code?: unknown }).code === 'ENOTFOUND'
}

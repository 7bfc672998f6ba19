import { join } from 'node:path'
import {
  type Constructor,
  type EntityName,
  type EntitySchema,
  UniqueConstraintViolationException,
} from '@mikro-orm/core'
import { Migrator, Migration as OrmMigration } from '@mikro-orm/migrations'
import { type EntityManager, MikroORM, type SqliteConnection } from '@mikro-orm/sqlite'
import {
  type Database as DatabaseService,
  type Migration,
  messageOf,
  RivetrError,
  type Rows,
} from '@rivetr/sdk'
import { whenFree } from './busy.ts'
import { FactRow, kernelEntities } from './entities/index.ts'
import { kernelMigrations } from './migrations.ts'
import { assertOutsideTransaction, asTransaction } from './transaction.ts'

/** What a plugin brings to the database. */
export interface Tables {
  readonly plugin: string
  readonly entities: readonly EntitySchema[]
  readonly migrations: readonly Migration[]
}

export class Database implements DatabaseService {
  readonly #orm: MikroORM
  readonly rows: Rows

  private constructor(orm: MikroORM) {
    this.#orm = orm
    this.rows = rowsOf((ask) => {
      assertOutsideTransaction('Database.rows')
      return whenFree(() => ask(orm.em.fork()))
    })
  }

  /** Opens the file in the folder, or makes it. Errors: `data_unusable` for a corrupt file or one of a newer Rivetr. */
  static async open(folder: string, tables: readonly Tables[]): Promise<Database> {
    const file = join(folder, 'rivetr.db')
    const all = [{ plugin: 'kernel', entities: kernelEntities, migrations: kernelMigrations }, ...tables]
    const orm = await MikroORM.init({
      dbName: file,
      entities: all.flatMap(({ entities }) => [...entities]),
      extensions: [Migrator],
      migrations: {
        migrationsList: all.flatMap(migrationsOf),
        tableName: 'migrations',
        snapshot: false,
        silent: true,
      },
    })
    try {
      const connection = orm.em.getConnection()
      const [check] = await connection.execute<{ quick_check: string }[]>('pragma quick_check(1)')
      if (check?.quick_check !== 'ok') throw new Error(check?.quick_check)
      await letEndedTransactionsGo(connection)
      await connection.execute('pragma journal_mode = wal')
      await connection.execute('pragma synchronous = normal')
      await refuseNewer(orm, file)
      await connection.execute('pragma busy_timeout = 0') // `whenFree` waits, and holds up nobody
    } catch (error) {
      await orm.close(true)
      if (RivetrError.is(error)) throw error
      throw new RivetrError(
        'data_unusable',
        `the database ${file} cannot be read: ${messageOf(error)}; nothing was changed, restore it from a backup`,
        { cause: error },
      )
    }
    return new Database(orm)
  }

  /** Runs what is new of one owner: `kernel`, or a plugin, whose failure is its own. */
  async migrate(owner: string): Promise<void> {
    const pending = (await this.#orm.migrator.getPending())
      .map(({ name }) => name)
      .filter((name) => name.startsWith(`${owner}/`))
    if (pending.length > 0) await whenFree(() => this.#orm.migrator.up({ migrations: pending }))
  }

  transaction<T>(work: (rows: Rows) => Promise<T>): Promise<T> {
    assertOutsideTransaction('Database.transaction')
    return whenFree(() =>
      this.#orm.em.fork().transactional(async (em) => {
        await takeWriteLock(em)
        const rows = rowsOf((ask) => {
          em.clear() // rows are what the database says, never what an identity map remembers
          return ask(em)
        })
        return asTransaction(() => work(rows))
      }),
    )
  }

  /** For a plugin: its own entities only. */
  scopedTo(tables: Tables): DatabaseService {
    const own = new Set<unknown>(tables.entities)
    const check = (entity: unknown) => {
      if (!own.has(entity))
        throw new RivetrError('forbidden', `plugin ${tables.plugin} may use its own entities only`)
    }
    return {
      rows: checked(this.rows, check),
      transaction: (work) => this.transaction((rows) => work(checked(rows, check))),
    }
  }

  async close(): Promise<void> {
    await this.#orm.close(true)
  }

  /** What differs between the entities and the tables: empty, or the migrations are wrong. */
  drift(): Promise<string> {
    return this.#orm.schema.getUpdateSchemaSQL({ wrap: false })
  }
}

/**
 * On a full disk SQLite ends the transaction by itself. The roll-back that follows would then fail, and with it the
 * release of the one connection: every query after that would wait for ever.
 */
async function letEndedTransactionsGo(connection: SqliteConnection): Promise<void> {
  const native = await connection.getNativeClient()
  const prepare = native.prepare.bind(native) as (sql: string) => unknown
  const nothing = 'select 0'
  const tolerant = (sql: string) => prepare(sql === 'rollback' && !native.inTransaction ? nothing : sql)
  Object.assign(native, { prepare: tolerant })
}

/**
 * Before anything is read: a transaction that reads first may find when it writes that another process was quicker, and then
 * no waiting helps. A `begin immediate` that fails would never give its connection back.
 */
async function takeWriteLock(em: Manager): Promise<void> {
  await em.nativeDelete(FactRow, { name: '' })
}

/** Whether a write failed because such a row is there already. */
export function isDuplicate(error: unknown): boolean {
  return error instanceof UniqueConstraintViolationException
}

const statements = [
  'find',
  'findOne',
  'count',
  'insert',
  'insertMany',
  'upsert',
  'nativeUpdate',
  'nativeDelete',
] as const

type Manager = Pick<EntityManager, (typeof statements)[number]>

function rowsOf(run: (ask: (em: Manager) => Promise<unknown>) => Promise<unknown>): Rows {
  return Object.fromEntries(
    statements.map((name) => [
      name,
      async (...args: unknown[]) =>
        run((em) => (em[name] as (...args: unknown[]) => Promise<unknown>).apply(em, args)),
    ]),
  ) as unknown as Rows
}

function checked(rows: Rows, check: (entity: unknown) => void): Rows {
  return Object.fromEntries(
    statements.map((name) => [
      name,
      (entity: EntityName, ...args: unknown[]) => {
        check(entity)
        return (rows[name] as (...args: unknown[]) => unknown)(entity, ...args)
      },
    ]),
  ) as unknown as Rows
}

function migrationsOf({ plugin, migrations }: Tables): { name: string; class: Constructor<OrmMigration> }[] {
  return migrations.map(({ name, sqlite }) => ({
    name: `${plugin}/${name}`,
    class: class extends OrmMigration {
      up(): void {
        for (const statement of sqlite) this.addSql(statement)
      }
    },
  }))
}

/** A database in which a newer Rivetr has worked is left alone: older code would misread it. */
async function refuseNewer(orm: MikroORM, file: string): Promise<void> {
  const known = new Set(kernelMigrations.map(({ name }) => `kernel/${name}`))
  const [table] = await orm.em
    .getConnection()
    .execute<unknown[]>(`select 1 from sqlite_master where name = 'migrations'`)
  if (table === undefined) return
  const executed = await orm.em.getConnection().execute<{ name: string }[]>('select name from migrations')
  const newer = executed
    .map(({ name }) => name)
    .filter((name) => name.startsWith('kernel/') && !known.has(name))
  if (newer.length === 0) return
  throw new RivetrError(
    'data_unusable',
    `the database ${file} was made by a newer Rivetr (${newer.join(', ')}); use that version, nothing was changed`,
  )
}

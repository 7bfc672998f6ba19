import { randomUUID } from 'node:crypto'
import { type EntityName, UniqueConstraintViolationException } from '@mikro-orm/core'
import { type Database as DatabaseService, RivetrError, type Rows } from '@rivetr/sdk'
import type { Dialect, DialectName, Manager, Tables } from './dialect.ts'
import { FactRow } from './entities/index.ts'
import { assertAskable, assertStorable } from './nul.ts'
import type { PostgresqlOptions } from './postgresql.ts'
import { assertOutsideTransaction, asTransaction } from './transaction.ts'

export type { Tables } from './dialect.ts'

/** Where the rows are. */
export interface DatabaseOptions extends Omit<PostgresqlOptions, 'url'> {
  /** The data folder: SQLite's file lies in it. */
  readonly folder: string
  /** PostgreSQL's, instead. */
  readonly url?: string | undefined
}

export class Database implements DatabaseService {
  readonly #dialect: Dialect
  readonly rows: Rows

  private constructor(dialect: Dialect) {
    this.#dialect = dialect
    this.rows = rowsOf(dialect, (name, ask) => {
      assertOutsideTransaction('Database.rows')
      return writing.has(name) ? dialect.write(ask) : dialect.read(ask)
    })
  }

  /** Errors: `data_unusable` with what is wrong and what to do. */
  static async open(options: DatabaseOptions, tables: readonly Tables[]): Promise<Database> {
    return new Database(await openDialect(options, tables))
  }

  get dialect(): DialectName {
    return this.#dialect.name
  }

  /** For people; without a password. */
  get place(): string {
    return this.#dialect.place
  }

  /** Runs what is new of one owner: `kernel`, or a plugin, whose failure is its own. */
  async migrate(owner: string): Promise<void> {
    const { migrator } = this.#dialect.orm
    await this.#dialect.alter(async () => {
      const pending = (await migrator.getPending())
        .map(({ name }) => name)
        .filter((name) => name.startsWith(`${owner}/`))
      if (pending.length > 0) await migrator.up({ migrations: pending })
    })
  }

  /** Marks the rows as this boot's. */
  async claim(): Promise<void> {
    const value = randomUUID()
    await this.transaction((rows) => rows.upsert(FactRow, { name: 'boot', value }))
    this.#dialect.remember(value)
  }

  transaction<T>(work: (rows: Rows) => Promise<T>): Promise<T> {
    assertOutsideTransaction('Database.transaction')
    return this.#dialect.transaction(async (em) => {
      const rows = rowsOf(this.#dialect, (_, ask) => {
        em.clear() // rows are what the database says, never what an identity map remembers
        return ask(em)
      })
      return asTransaction(() => work(rows))
    })
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
    await this.#dialect.close()
  }

  /** What differs between the entities and the tables: empty, or the migrations are wrong. */
  drift(): Promise<string> {
    return this.#dialect.orm.schema.getUpdateSchemaSQL({ wrap: false })
  }
}

/** Loads the code of just the kind that is asked for: the other one costs memory. */
export async function openDialect(
  { folder, url, ...options }: DatabaseOptions,
  tables: readonly Tables[],
): Promise<Dialect> {
  if (url === undefined) return (await import('./sqlite.ts')).openSqlite(folder, tables)
  return (await import('./postgresql.ts')).openPostgresql({ url, ...options }, tables)
}

/** Whether a write failed because such a row is there already; in that table, where one is named. */
export function isDuplicate(error: unknown, table?: string): boolean {
  if (!(error instanceof UniqueConstraintViolationException)) return false
  if (table === undefined) return true
  const named = (error as { table?: unknown }).table // only PostgreSQL says it apart from its message
  return named === undefined ? error.message.includes(`constraint failed: ${table}.`) : named === table
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
type Statement = (typeof statements)[number]

const inserting: ReadonlySet<Statement> = new Set(['insert', 'insertMany', 'upsert'])
const writing: ReadonlySet<Statement> = new Set([...inserting, 'nativeUpdate', 'nativeDelete'])

function rowsOf(
  dialect: Dialect,
  run: (name: Statement, ask: (em: Manager) => Promise<unknown>) => Promise<unknown>,
): Rows {
  return Object.fromEntries(
    statements.map((name) => [
      name,
      async (entity: EntityName, ...args: unknown[]) => {
        assertNoNul(name, args)
        const asked = name === 'find' || name === 'findOne' ? [args[0], dialect.asked(entity, args[1])] : args
        return run(name, (em) =>
          (em[name] as (...args: unknown[]) => Promise<unknown>).call(em, entity, ...asked),
        )
      },
    ]),
  ) as unknown as Rows
}

function assertNoNul(name: Statement, [first, second]: readonly unknown[]): void {
  if (inserting.has(name)) assertStorable(first)
  else assertAskable(first)
  if (name === 'nativeUpdate') assertStorable(second)
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

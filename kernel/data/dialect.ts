import type { Constructor, EntityName, EntitySchema } from '@mikro-orm/core'
import { Migrator, Migration as OrmMigration } from '@mikro-orm/migrations'
import type { AbstractSqlDriver, MikroORM, SqlEntityManager } from '@mikro-orm/sql'
import { type Migration, RivetrError } from '@rivetr/sdk'
import { kernelEntities } from './entities/index.ts'
import { kernelMigrations } from './migrations.ts'

/** What a plugin brings to the database. */
export interface Tables {
  readonly plugin: string
  readonly entities: readonly EntitySchema[]
  readonly migrations: readonly Migration[]
}

/** MikroORM's record of what has run. */
export const migrationsTable = 'migrations'

/** The name of SQLite's file in the data folder. */
export const databaseFile = 'rivetr.db'

export const dialectNames = ['sqlite', 'postgresql'] as const
export type DialectName = (typeof dialectNames)[number]

export type Orm = MikroORM<AbstractSqlDriver>
export type Manager = SqlEntityManager<AbstractSqlDriver>

/** What differs between the databases: how one waits for them, and how it comes that only one writes. */
export interface Dialect {
  readonly name: DialectName
  readonly orm: Orm
  /** For people; without a password. */
  readonly place: string
  /** A statement that changes nothing. May be asked again. */
  read<T>(ask: (em: Manager) => Promise<T>): Promise<T>
  /** A single statement that writes. Done once, or it throws. */
  write<T>(ask: (em: Manager) => Promise<T>): Promise<T>
  /**
   * One at a time, and alone among all that writes: what it reads stays so until it has written. `work` may run again
   * after nothing of it was kept.
   */
  transaction<T>(work: (em: Manager) => Promise<T>): Promise<T>
  /** Changes tables; may run again, like a transaction. */
  alter(work: () => Promise<void>): Promise<void>
  /** Options of a query, so that it means the same everywhere. */
  asked(entity: EntityName, options: unknown): unknown
  /** What stands in the rows since this boot: whoever finds another value there was not alone. */
  remember(claim: string): void
  close(): Promise<void>
}

/** The kernel's tables and those of plugins, in the order in which their migrations run. */
export function withKernel(tables: readonly Tables[]): readonly Tables[] {
  return [{ plugin: 'kernel', entities: kernelEntities, migrations: kernelMigrations }, ...tables]
}

/** The options of MikroORM that all dialects share. */
export function ormOptions(dialect: DialectName, tables: readonly Tables[]) {
  const all = withKernel(tables)
  return {
    contextName: dialect, // else a query on the one would go into a transaction that is open on the other
    entities: all.flatMap(({ entities }) => [...entities]),
    extensions: [Migrator],
    migrations: {
      migrationsList: all.flatMap((each) => migrationsOf(dialect, each)),
      tableName: migrationsTable,
      snapshot: false,
      silent: true,
    },
  }
}

function migrationsOf(
  dialect: DialectName,
  { plugin, migrations }: Tables,
): { name: string; class: Constructor<OrmMigration> }[] {
  return migrations.map(({ name, [dialect]: statements }) => ({
    name: `${plugin}/${name}`,
    class: class extends OrmMigration {
      up(): void {
        if (statements === undefined)
          throw new RivetrError(
            'plugin_invalid',
            `plugin ${plugin} does not say how its change ${name} is made on PostgreSQL; ask its author, or use SQLite`,
          )
        for (const statement of statements) this.addSql(statement)
      }
    },
  }))
}

/** A database in which a newer Rivetr has worked is left alone: older code would misread it. */
export async function refuseNewer(orm: Orm, place: string): Promise<void> {
  const known = new Set(kernelMigrations.map(({ name }) => `kernel/${name}`))
  const newer = (await executedMigrations(orm)).filter(
    (name) => name.startsWith('kernel/') && !known.has(name),
  )
  if (newer.length === 0) return
  throw new RivetrError(
    'data_unusable',
    `the database ${place} was made by a newer Rivetr (${newer.join(', ')}); use that version, nothing was changed`,
  )
}

/** Names of the migrations that have run, in their order; none where there is no table of them. */
export async function executedMigrations(orm: Orm): Promise<string[]> {
  const connection = orm.em.getConnection()
  const exists = await orm.em
    .getPlatform()
    .getSchemaHelper()
    ?.tableExists(connection, migrationsTable, undefined)
  if (exists !== true) return []
  const rows = await connection.execute<{ name: string }[]>(`select name from ${migrationsTable} order by id`)
  return rows.map(({ name }) => name)
}

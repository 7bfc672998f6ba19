import { join } from 'node:path'
import { MikroORM, type SqliteConnection } from '@mikro-orm/sqlite'
import { messageOf, RivetrError } from '@rivetr/sdk'
import { whenFree } from './busy.ts'
import {
  type Dialect,
  databaseFile,
  type Manager,
  type Orm,
  ormOptions,
  refuseNewer,
  type Tables,
} from './dialect.ts'
import { FactRow } from './entities/index.ts'

/** Statements that stay compiled: a hundred take about a megabyte. */
const mostCompiled = 100
/** Whatever changes a table, or how the database works, is asked once. */
const keepsItsMeaning = /^(select|insert|update|delete|begin|commit|rollback)\b/

/** Opens the file in the folder, or makes it. Errors: `data_unusable` for a corrupt file or one of a newer Rivetr. */
export async function openSqlite(folder: string, tables: readonly Tables[]): Promise<Dialect> {
  const file = join(folder, databaseFile)
  const sqlite = await MikroORM.init({ dbName: file, ...ormOptions('sqlite', tables) })
  const orm = sqlite as unknown as Orm
  try {
    const connection = sqlite.em.getConnection()
    const [check] = await connection.execute<{ quick_check: string }[]>('pragma quick_check(1)')
    if (check?.quick_check !== 'ok') throw new Error(check?.quick_check)
    await tendStatements(connection)
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
  return {
    name: 'sqlite',
    orm,
    place: file,
    read: (ask) => whenFree(() => ask(orm.em.fork())),
    write: (ask) => whenFree(() => ask(orm.em.fork())),
    transaction: (work) =>
      whenFree(() =>
        orm.em.fork().transactional(async (em) => {
          await takeWriteLock(em)
          return work(em)
        }),
      ),
    alter: whenFree,
    asked: (_, options) => options,
    remember: () => undefined, // the lock of the data folder cannot be lost
    close: () => orm.close(true),
  }
}

/**
 * - On a full disk SQLite ends the transaction by itself. The roll-back that follows would then fail, and with it the
 *   release of the one connection: every query after that would wait for ever.
 * - To compile a statement takes longer than to run most of them, and it is the same few dozen that come again and again.
 */
async function tendStatements(connection: SqliteConnection): Promise<void> {
  const native = await connection.getNativeClient()
  const compile = native.prepare.bind(native) as (sql: string) => unknown
  const nothing = 'select 0'
  const compiled = new Map<string, unknown>() // the one that was asked longest ago comes first
  const prepare = (sql: string) => {
    const wanted = sql === 'rollback' && !native.inTransaction ? nothing : sql
    const statement = compiled.get(wanted) ?? compile(wanted)
    if (!keepsItsMeaning.test(wanted)) return statement
    compiled.delete(wanted)
    compiled.set(wanted, statement)
    const [oldest] = compiled.keys()
    if (compiled.size > mostCompiled && oldest !== undefined) compiled.delete(oldest)
    return statement
  }
  Object.assign(native, { prepare })
}

/**
 * Before anything is read: a transaction that reads first may find when it writes that another process was quicker, and then
 * no waiting helps. A `begin immediate` that fails would never give its connection back.
 */
async function takeWriteLock(em: Manager): Promise<void> {
  await em.nativeDelete(FactRow, { name: '' })
}

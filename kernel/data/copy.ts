import { createHash } from 'node:crypto'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { DriverException } from '@mikro-orm/core'
import { RivetrError } from '@rivetr/sdk'
import { type Column, columnsOf, comparable, quoted, readers, writers } from './copy-columns.ts'
import { inOrder, ownerOf, prefixOf, tablesOf } from './copy-tables.ts'
import { takeDataFolder } from './data-folder.ts'
import { openDialect } from './database.ts'
import {
  type Dialect,
  databaseFile,
  executedMigrations,
  type Manager,
  type Tables,
  withKernel,
} from './dialect.ts'

const rowsAtOnce = 200

/** One end of a copy: a data folder, or an address of PostgreSQL. */
export type CopyEnd = { readonly folder: string } | { readonly url: string }

export interface CopyOptions {
  readonly from: CopyEnd
  readonly to: CopyEnd
  /** Of every plugin whose code is here, running or not. */
  readonly tables: readonly Tables[]
  /** Plugins whose tables stay behind. */
  readonly leaveOut: readonly string[]
  /** Looks, and changes nothing. */
  readonly dryRun: boolean
  onProgress(progress: { readonly table: string; readonly rows: number }): void
}

export interface CopyReport {
  readonly from: string
  readonly to: string
  readonly dryRun: boolean
  readonly rows: number
  readonly tables: readonly { readonly table: string; readonly rows: number }[]
}

/**
 * Copies every row of every table into an empty database of the other kind, in one transaction that is kept only when
 * what is read back is what was read. Both ends are held meanwhile, so no Rivetr runs on either.
 * Errors: `conflict` where an end does not fit, `data_unusable` where one cannot be opened.
 */
export async function copyDatabase(options: CopyOptions): Promise<CopyReport> {
  if ('folder' in options.from === 'folder' in options.to)
    throw new RivetrError(
      'conflict',
      'a copy goes from SQLite to PostgreSQL or back; within one kind use its own tools (a copy of the data folder, pg_dump)',
    )
  await using ends = new AsyncDisposableStack()
  const from = await openSource(options, ends)
  const names = await from.read(() => executedMigrations(from.orm))
  if (names.length === 0) throw new RivetrError('conflict', `the database ${from.place} is empty`)
  const plan = await planOf(options, from, names)
  const to = await openTarget(options, ends)
  if (to !== undefined) await assertEmpty(to, plan)
  const reached = { from: from.place, to: to?.place ?? placeOf(options.to), dryRun: options.dryRun }
  if (options.dryRun || to === undefined) {
    const tables = await from.read((em) => countAll(em, plan.tables))
    return { ...reached, tables, rows: total(tables) }
  }
  await to.alter(async () => {
    const pending = (await to.orm.migrator.getPending()).map(({ name }) => name)
    const wanted = pending.filter((name) => plan.migrations.includes(name))
    if (wanted.length > 0) await to.orm.migrator.up({ migrations: wanted })
  })
  const tables = await to.transaction((em) => copyAll(from, to, em, plan, options))
  return { ...reached, tables, rows: total(tables) }
}

interface Plan {
  readonly tables: readonly string[]
  readonly migrations: readonly string[]
}

async function openSource({ from, tables }: CopyOptions, ends: AsyncDisposableStack): Promise<Dialect> {
  if ('folder' in from && !(await exists(join(from.folder, databaseFile))))
    throw new RivetrError('conflict', `there is no database in ${from.folder}; name a data folder of Rivetr`)
  return open(from, tables, ends)
}

/** Undefined: it is not there yet, and a dry run makes nothing. */
async function openTarget(
  { to, tables, dryRun }: CopyOptions,
  ends: AsyncDisposableStack,
): Promise<Dialect | undefined> {
  if (dryRun && 'folder' in to && !(await exists(join(to.folder, databaseFile)))) return undefined
  return open(to, tables, ends)
}

async function open(end: CopyEnd, tables: readonly Tables[], ends: AsyncDisposableStack): Promise<Dialect> {
  if ('folder' in end) {
    const held = await takeDataFolder(end.folder)
    ends.defer(() => held.release())
  }
  const dialect = await openDialect('folder' in end ? end : { folder: '', url: end.url }, tables)
  ends.defer(() => dialect.close())
  return dialect
}

/** What is to be copied. Tables whose plugin is not here could not be made on the other side. */
async function planOf(options: CopyOptions, from: Dialect, ran: readonly string[]): Promise<Plan> {
  const { tables, leaveOut } = options
  const stays = (plugin: string) => leaveOut.includes(plugin)
  const all = (await tablesOf(from)).filter((table) => !stays(ownerOf(table, tables) ?? prefixOf(table)))
  const strange = all.filter((table) => ownerOf(table, tables) === undefined)
  if (strange.length > 0)
    throw new RivetrError(
      'conflict',
      `${from.place} has tables of plugins that are not here (${strange.join(', ')}); put the plugins back, or leave them behind with ${[...new Set(strange.map(prefixOf))].map((name) => `--leave-out ${name}`).join(' ')}`,
    )
  const migrations = ran.filter((name) => !stays(name.split('/', 1)[0] ?? ''))
  const known = new Set(
    withKernel(tables).flatMap(({ plugin, migrations: own }) => own.map(({ name }) => `${plugin}/${name}`)),
  )
  const newer = migrations.filter((name) => !known.has(name))
  if (newer.length > 0)
    throw new RivetrError(
      'conflict',
      `newer plugins than those that are here worked on ${from.place} (${newer.join(', ')}); bring them up to date first`,
    )
  return { tables: all, migrations }
}

/** Tables without a row are what a copy that was cut, or a first look, has left. */
async function assertEmpty(to: Dialect, plan: Plan): Promise<void> {
  const tables = await tablesOf(to)
  const other = tables.filter((table) => !plan.tables.includes(table))
  if (other.length > 0)
    throw new RivetrError(
      'conflict',
      `the database ${to.place} has tables that the other one has not (${other.join(', ')}); give an empty one, nothing was changed`,
    )
  const counts = await to.read((em) => countAll(em, tables))
  const full = counts.filter(({ rows }) => rows > 0).map(({ table, rows }) => `${table}: ${rows}`)
  if (full.length > 0)
    throw new RivetrError(
      'conflict',
      `the database ${to.place} is not empty (rows in ${full.join(', ')}); give an empty one, nothing was changed`,
    )
}

async function copyAll(
  from: Dialect,
  to: Dialect,
  em: Manager,
  plan: Plan,
  { onProgress }: CopyOptions,
): Promise<{ table: string; rows: number }[]> {
  const inPostgresql = <T>(ask: (em: Manager) => Promise<T>) =>
    from.name === 'postgresql' ? from.read(ask) : ask(em)
  if (to.name === 'sqlite') await em.execute('pragma defer_foreign_keys = on')
  const copied: { table: string; rows: number }[] = []
  for (const table of await inPostgresql((ask) => inOrder(ask, plan.tables))) {
    const columns = await inPostgresql((ask) => columnsOf(ask, table))
    const before = new Sum(columns)
    for await (const rows of pages(from, (ask) => from.read(ask), table, columns)) {
      before.add(rows)
      await insert(to, em, table, columns, rows).catch((error: unknown) => {
        throw misfit(table, to, error)
      })
    }
    const after = new Sum(columns)
    for await (const rows of pages(to, (ask) => ask(em), table, columns)) after.add(rows)
    if (before.text !== after.text)
      throw new RivetrError(
        'conflict',
        `${table} reads otherwise in ${to.place} than in ${from.place} (${after.rows} of ${before.rows} rows); nothing was kept`,
      )
    if (to.name === 'postgresql') await advanceSequences(em, table, columns)
    copied.push({ table, rows: before.rows })
    onProgress({ table, rows: before.rows })
  }
  return copied
}

/** A table in pieces, in the order in which it lies on the disk: while both ends are held, that does not change. */
async function* pages(
  dialect: Dialect,
  ask: <T>(work: (em: Manager) => Promise<T>) => Promise<T>,
  table: string,
  columns: readonly Column[],
): AsyncGenerator<Record<string, unknown>[]> {
  const place = dialect.name === 'sqlite' ? 'rowid' : 'ctid'
  const shown = dialect.name === 'sqlite' ? 'cast(rowid as text)' : 'ctid::text'
  const values = readers(dialect.name, columns).join(', ')
  for (let after: string | undefined; ; ) {
    const where =
      after === undefined
        ? ''
        : `where ${place} > cast(? as ${dialect.name === 'sqlite' ? 'integer' : 'tid'})`
    const rows = await ask((em) =>
      em.execute<Record<string, unknown>[]>(
        `select ${shown} as "rivetr place", ${values} from ${quoted(table)} ${where} order by ${place} limit ${rowsAtOnce}`,
        after === undefined ? [] : [after],
      ),
    )
    if (rows.length > 0) yield rows.map(({ 'rivetr place': _, ...row }) => row)
    if (rows.length < rowsAtOnce) return
    after = String(rows.at(-1)?.['rivetr place'])
  }
}

async function insert(
  to: Dialect,
  em: Manager,
  table: string,
  columns: readonly Column[],
  rows: readonly Record<string, unknown>[],
): Promise<void> {
  const places = `(${writers(to.name, columns).join(', ')})`
  const names = columns.map(({ name }) => quoted(name)).join(', ')
  await em.execute(
    `insert into ${quoted(table)} (${names}) values ${rows.map(() => places).join(', ')}`,
    rows.flatMap((row) => columns.map(({ name }) => row[name])),
    'run',
  )
}

/** SQLite keeps what it is given in whatever column. The database's own words would hold the row's values. */
function misfit(table: string, to: Dialect, error: unknown): unknown {
  if (!(error instanceof DriverException) || !/^(22|23)/.test(String(error.code))) return error
  return new RivetrError(
    'conflict',
    `a row of ${table} does not fit into ${to.place} (${error.code}); mend or remove it, then copy again: nothing was kept`,
    { cause: error },
  )
}

/** Where numbers are given by the database, it goes on behind those that came. */
async function advanceSequences(em: Manager, table: string, columns: readonly Column[]): Promise<void> {
  for (const { name } of columns.filter(({ kind }) => kind === 'integer')) {
    const [row] = await em.execute<{ sequence: string | null }[]>(
      'select pg_get_serial_sequence(?, ?) as sequence',
      [quoted(table), name],
    )
    if (row?.sequence)
      await em.execute(
        `select setval(?, coalesce((select max(${quoted(name)}) from ${quoted(table)}), 0) + 1, false)`,
        [row.sequence],
      )
  }
}

/** Of rows in whatever order: how many, and a sum of their hashes. */
class Sum {
  readonly #columns: readonly Column[]
  rows = 0
  #sum = 0n

  constructor(columns: readonly Column[]) {
    this.#columns = columns
  }

  add(rows: readonly Record<string, unknown>[]): void {
    this.rows += rows.length
    for (const row of rows) {
      const hash = createHash('sha256')
        .update(JSON.stringify(comparable(this.#columns, row)))
        .digest('hex')
      this.#sum = (this.#sum + BigInt(`0x${hash}`)) % (1n << 256n)
    }
  }

  get text(): string {
    return `${this.rows} ${this.#sum}`
  }
}

async function countAll(em: Manager, tables: readonly string[]): Promise<{ table: string; rows: number }[]> {
  const counts: { table: string; rows: number }[] = []
  for (const table of tables) {
    const [row] = await em.execute<{ rows: number | string }[]>(
      `select count(*) as rows from ${quoted(table)}`,
    )
    counts.push({ table, rows: Number(row?.rows) })
  }
  return counts
}

function total(tables: readonly { readonly rows: number }[]): number {
  return tables.reduce((sum, { rows }) => sum + rows, 0)
}

function placeOf(end: CopyEnd): string {
  return 'folder' in end ? join(end.folder, databaseFile) : 'PostgreSQL'
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

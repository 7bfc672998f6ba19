import { RivetrError } from '@rivetr/sdk'
import { type Dialect, type Manager, migrationsTable, type Tables } from './dialect.ts'
import { kernelEntities } from './entities/index.ts'

const lists = {
  sqlite: `select name from sqlite_master where type = 'table' and name not like 'sqlite\\_%' escape '\\' order by name`,
  postgresql: `select tablename as name from pg_tables where schemaname = current_schema() order by tablename`,
} as const

/** Every table but the record of migrations. */
export async function tablesOf(dialect: Dialect): Promise<string[]> {
  const rows = await dialect.read((em) => em.execute<{ name: string }[]>(lists[dialect.name]))
  return rows.map(({ name }) => name).filter((name) => name !== migrationsTable)
}

const kernelTables: ReadonlySet<string> = new Set(kernelEntities.map((entity) => entity.meta.tableName))

/** `kernel`, the plugin whose prefix the table has, or nobody that is known here. */
export function ownerOf(table: string, tables: readonly Tables[]): string | undefined {
  if (kernelTables.has(table)) return 'kernel'
  return tables.find(({ plugin }) => table.startsWith(`${plugin.replaceAll('-', '_')}__`))?.plugin
}

/** The name of a plugin by its table, as well as that can be told without its code. */
export function prefixOf(table: string): string {
  return (table.split('__')[0] ?? table).replaceAll('_', '-')
}

/** Tables to which others refer come first. */
export async function inOrder(em: Manager, tables: readonly string[]): Promise<string[]> {
  const references = await em.execute<{ table: string; to: string }[]>(
    `select a.relname as "table", b.relname as "to" from pg_constraint c join pg_class a on a.oid = c.conrelid
      join pg_class b on b.oid = c.confrelid where c.contype = 'f' and a.oid <> b.oid`,
  )
  const done = new Set<string>()
  const waits = (table: string) =>
    references.some((each) => each.table === table && tables.includes(each.to) && !done.has(each.to))
  while (done.size < tables.length) {
    const next = tables.find((table) => !done.has(table) && !waits(table))
    if (next === undefined)
      throw new RivetrError(
        'conflict',
        `the tables ${tables.filter((table) => !done.has(table)).join(', ')} refer to each other in a circle and cannot be copied`,
      )
    done.add(next)
  }
  return [...done]
}

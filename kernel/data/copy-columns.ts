import { RivetrError } from '@rivetr/sdk'
import type { DialectName, Manager } from './dialect.ts'

/** Kinds of values that both databases keep. Between them a value is a text in one way of writing, or a double. */
const kindOfType: Readonly<Record<string, Kind>> = {
  text: 'text',
  'character varying': 'text',
  character: 'text',
  uuid: 'text',
  'USER-DEFINED': 'text',
  json: 'text',
  jsonb: 'json',
  numeric: 'text',
  smallint: 'integer',
  integer: 'integer',
  bigint: 'integer',
  boolean: 'boolean',
  real: 'double',
  'double precision': 'double',
  bytea: 'bytes',
  'timestamp with time zone': 'time',
  'timestamp without time zone': 'time',
  date: 'text',
}
type Kind = 'text' | 'json' | 'integer' | 'boolean' | 'double' | 'bytes' | 'time'

export interface Column {
  readonly name: string
  readonly kind: Kind
  /** As PostgreSQL calls it. */
  readonly type: string
}

/** The columns of a table as PostgreSQL has them: of the two it is the one that says more. */
export async function columnsOf(em: Manager, table: string): Promise<Column[]> {
  const rows = await em.execute<{ name: string; type: string; udt: string }[]>(
    `select column_name as name, data_type as type, udt_name as udt from information_schema.columns
      where table_schema = current_schema() and table_name = ? order by ordinal_position`,
    [table],
  )
  return rows.map(({ name, type, udt }) => {
    const kind = kindOfType[type]
    if (kind === undefined)
      throw new RivetrError(
        'conflict',
        `the column ${name} of ${table} has the type ${type}, which cannot be copied; ask the plugin's author`,
      )
    return { name, kind, type: type === 'USER-DEFINED' ? quoted(udt) : type }
  })
}

/** Expressions that read a row's values in the one way of writing. */
export function readers(dialect: DialectName, columns: readonly Column[]): string[] {
  return columns.map(({ name, kind }) => `${readers_[dialect][kind](quoted(name))} as ${quoted(name)}`)
}

/** Expressions with a place for a value, that make of it what the column keeps. */
export function writers(dialect: DialectName, columns: readonly Column[]): string[] {
  return columns.map(({ kind, type }) => writers_[dialect][kind](type))
}

const readers_: Readonly<Record<DialectName, Readonly<Record<Kind, (column: string) => string>>>> = {
  sqlite: {
    text: (column) => column,
    json: (column) => column,
    integer: (column) => `cast(${column} as text)`, // JavaScript would lose what is beyond 2^53
    boolean: (column) => `cast(${column} as text)`,
    double: (column) => column,
    bytes: (column) => `iif(${column} is null, null, lower(hex(${column})))`, // hex(null) is not null
    time: (column) => `cast(${column} as text)`,
  },
  postgresql: {
    text: (column) => `${column}::text`,
    json: (column) => `${column}::text`,
    integer: (column) => `${column}::text`,
    boolean: (column) => `${column}::int::text`,
    double: (column) => column,
    bytes: (column) => `encode(${column}, 'hex')`,
    time: (column) => `(extract(epoch from ${column}) * 1000)::bigint::text`,
  },
}

const writers_: Readonly<Record<DialectName, Readonly<Record<Kind, (type: string) => string>>>> = {
  sqlite: {
    text: () => '?',
    json: () => '?',
    integer: () => 'cast(? as integer)',
    boolean: () => 'cast(? as integer)',
    double: () => 'cast(? as real)',
    bytes: () => 'unhex(?)',
    time: () => 'cast(? as integer)',
  },
  postgresql: {
    text: (type) => `cast(? as ${type})`,
    json: (type) => `cast(? as ${type})`,
    integer: (type) => `cast(? as ${type})`,
    boolean: () => 'cast(? as boolean)',
    double: () => 'cast(? as double precision)',
    bytes: () => `decode(?, 'hex')`,
    time: () => 'to_timestamp(cast(? as double precision) / 1000)',
  },
}

/** What two readings of a row have in common: `jsonb` keeps what a document says, and not how it was written. */
export function comparable(columns: readonly Column[], row: Readonly<Record<string, unknown>>): unknown[] {
  return columns.map(({ name, kind }) => {
    const value = row[name]
    return kind === 'json' && typeof value === 'string' ? inOneOrder(JSON.parse(value)) : value
  })
}

function inOneOrder(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(inOneOrder)
  const fields = Object.entries(value).map(([key, each]) => [key, inOneOrder(each)] as const)
  return fields.sort(([a], [b]) => (a < b ? -1 : 1))
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

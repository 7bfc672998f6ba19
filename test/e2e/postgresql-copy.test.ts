import assert from 'node:assert/strict'
import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { after, before, describe, test } from 'node:test'
import { defineEntity, p, Secrets } from '@rivetr/sdk'
import { createTestKernel, type TestKernel } from '@rivetr/testing'
import { type CopyOptions, copyDatabase } from '../../kernel/data/copy.ts'
import { Database, type Tables } from '../../kernel/data/database.ts'
import { discoverBuiltIns } from '../../kernel/host/discovery.ts'
import { PostgresServer } from '../machine/postgres-server.ts'
import { temporaryFolder } from '../machine/this-run.ts'
import { rivetrCommand } from '../stage/command-line.ts'

const odd = `'"\\ \n\r\t $1 ? :x -- /* \u2028 \u{1f600} \u0001 ${'long '.repeat(5_000)}`

/** A plugin by a stranger with whatever a column may hold; its second table refers to its first. */
const Thing = defineEntity({
  name: 'CopyThing',
  tableName: 'odd_plugin__things',
  properties: {
    id: p.integer().primary().autoincrement(),
    big: p.bigint().nullable(),
    real: p.double().$type<number>().nullable(),
    yes: p.boolean().nullable(),
    bytes: p.blob().nullable(),
    at: p.datetime().nullable(),
    json: p.json<unknown>().nullable(),
    text: p.text().nullable(),
  },
})
const Part = defineEntity({
  name: 'CopyPart',
  tableName: 'odd_plugin__a_parts',
  properties: { id: p.string().primary(), thing: () => p.manyToOne(Thing) },
})
const oddPlugin: Tables = {
  plugin: 'odd-plugin',
  entities: [Thing, Part],
  migrations: [
    {
      name: '0001-first',
      sqlite: [
        'create table `odd_plugin__things` (`id` integer not null primary key autoincrement, `big` bigint null, `real` double null, `yes` integer null, `bytes` blob null, `at` datetime null, `json` json null, `text` text null)',
        'create table `odd_plugin__a_parts` (`id` text not null primary key, `thing_id` integer not null references `odd_plugin__things` (`id`))',
      ],
      postgresql: [
        'create table "odd_plugin__things" ("id" serial primary key, "big" bigint null, "real" double precision null, "yes" boolean null, "bytes" bytea null, "at" timestamptz(3) null, "json" jsonb null, "text" varchar(100000) null)',
        'create table "odd_plugin__a_parts" ("id" text collate "C" not null primary key, "thing_id" int not null references "odd_plugin__things" ("id"))',
      ],
    },
  ],
}

/** Nobody else has the file open. */
function query(file: string, statement: string, ...values: SQLInputValue[]): Record<string, unknown>[] {
  const database = new DatabaseSync(file)
  try {
    return database.prepare(statement).all(...values)
  } finally {
    database.close()
  }
}

function tablesIn(file: string): string[] {
  const statement =
    "select name from sqlite_master where type = 'table' and name not like 'sqlite%' order by 1"
  return query(file, statement).map(({ name }) => String(name))
}

describe('rivetr db copy', () => {
  let server: PostgresServer
  let folder: string
  let source: string
  let tables: Tables[]
  let made = 0

  before(async () => {
    folder = await temporaryFolder()
    server = await PostgresServer.start(join(folder, 'postgresql'))
    tables = [
      ...(await Promise.all(
        (
          await discoverBuiltIns()
        ).map(async ({ manifest, load }) => {
          const { entities = [], migrations = [] } = await load()
          return { plugin: manifest.name, entities, migrations }
        }),
      )),
      oddPlugin,
    ]
    source = join(folder, 'source')
    await fill(source)
  })
  after(() => server?.[Symbol.asyncDispose]())

  /** Every table of the kernel and of the plugins has rows, with whatever a person could have put there. */
  async function fill(dataDir: string): Promise<void> {
    {
      await using kernel: TestKernel = await createTestKernel({ dataDir })
      await kernel.get(Secrets).put('app', odd, odd)
    }
    const database = await Database.open({ folder: dataDir }, tables)
    for (const { plugin } of tables) await database.migrate(plugin)
    await database.close()
    const file = join(dataDir, 'rivetr.db')
    for (const table of tablesIn(file)) {
      const columns = query(file, `select name, type from pragma_table_info('${table}')`)
      if (table.startsWith('odd_plugin__') || table === 'migrations') continue
      for (const at of [1, 2, 3]) {
        const values = columns.map(({ name, type: declared }) => {
          const type = String(declared).toLowerCase()
          if (type === 'integer') return at % 2
          if (type === 'double') return at === 1 ? 0.1 : at === 2 ? 1_732_744_999_123.5 : 2 ** 53 - 1
          if (type === 'json') return JSON.stringify({ z: at, a: [odd, null], '\0': '\0' })
          return at === 2 ? `${name} ${at}` : `${odd} ${name} ${at}`
        })
        query(file, `insert into "${table}" values (${values.map(() => '?').join(', ')})`, ...values)
      }
    }
    query(
      file,
      `insert into odd_plugin__things values (7, 9007199254740993, 1e300, 1, x'00ff41', 1732744999123, '{"b":1,"a":2}', 'x'),
        (9, -9223372036854775808, -0.1, 0, x'', null, 'null', null), (8, null, null, null, null, null, null, '')`,
    )
    query(file, "insert into odd_plugin__a_parts values ('a', 7), ('b', 9)")
  }

  const copy = (from: CopyOptions['from'], to: CopyOptions['to'], more: Partial<CopyOptions> = {}) =>
    copyDatabase({ from, to, tables, leaveOut: [], dryRun: false, onProgress: () => undefined, ...more })
  const newDatabase = () => {
    made += 1
    return server.createDatabase(`c${made}`)
  }
  /** Every value of every row, exactly. */
  const contentOf = (dataDir: string) => {
    const file = join(dataDir, 'rivetr.db')
    return Object.fromEntries(
      tablesIn(file).map((table) => {
        const columns = query(file, `select name from pragma_table_info('${table}')`).map(({ name }) =>
          String(name),
        )
        const wanted = table === 'migrations' ? ['name'] : columns
        const shown = wanted.map((name) => `quote("${name}") as "${name}"`).join(', ')
        return [table, query(file, `select ${shown} from "${table}" order by 1, ${wanted.length}`)]
      }),
    )
  }

  test('SQLite → PostgreSQL → SQLite is the same to the last byte, in every table; a secret still opens', async () => {
    const url = await newDatabase()
    const before = contentOf(source)
    const progress: string[] = []
    const there = await copy({ folder: source }, { url }, { onProgress: ({ table }) => progress.push(table) })
    assert.deepEqual(progress.toSorted(), there.tables.map(({ table }) => table).toSorted())
    assert.deepEqual(
      progress.toSorted(),
      tablesIn(join(source, 'rivetr.db')).filter((name) => name !== 'migrations'),
    )
    for (const { table, rows } of there.tables) assert.ok(rows >= 2, `${table} has ${rows} rows`)
    assert.deepEqual(
      await server.sql(
        `select id, big, "real", yes, encode(bytes, 'hex'), at from odd_plugin__things order by id`,
        `c${made}`,
      ),
      [
        '7|9007199254740993|1e+300|t|00ff41|2024-11-27 22:03:19.123+00',
        '8|||||',
        '9|-9223372036854775808|-0.1|f||',
      ],
    )
    assert.deepEqual(
      await server.sql(`insert into odd_plugin__things (text) values ('') returning id`, `c${made}`),
      ['10'],
    )
    await server.sql('delete from odd_plugin__things where id = 10', `c${made}`)

    const back = join(folder, 'back')
    const returned = await copy({ url }, { folder: back })
    assert.equal(returned.rows, there.rows)
    const after = contentOf(back)
    // jsonb, which a stranger may choose, has an order of its own.
    assert.deepEqual(Object.keys(after), Object.keys(before))
    for (const [table, rows] of Object.entries(before))
      if (table !== 'odd_plugin__things') assert.deepEqual(after[table], rows, table)
    const plain = (content: Record<string, unknown>) =>
      (content.odd_plugin__things as { json: string }[]).map(({ json: _, ...row }) => row)
    assert.deepEqual(plain(after), plain(before))

    await cp(join(source, 'secret.key'), join(back, 'secret.key'))
    await using kernel = await createTestKernel({ dataDir: back })
    assert.equal(await kernel.get(Secrets).find('app', odd), odd)
  })

  test('a database that is not empty is refused, and left as it is; a copy that was cut can be made again', async () => {
    const url = await newDatabase()
    const cut = copy(
      { folder: source },
      { url },
      {
        onProgress: ({ table }) => {
          if (table === 'secrets') throw new Error('the power went')
        },
      },
    )
    await assert.rejects(cut, /the power went/)
    assert.deepEqual(await server.sql('select count(*) from apps', `c${made}`), ['0'])
    await copy({ folder: source }, { url })
    await assert.rejects(copy({ folder: source }, { url }), {
      code: 'conflict',
      message:
        /the database c\d+ at .* is not empty \(rows in acme__ca_pauses: 3, .*\); give an empty one, nothing was changed/,
    })
    await server.sql('create table other (x int)', (await newDatabase()) && `c${made}`)
    await assert.rejects(copy({ folder: source }, { url: server.url(`c${made}`) }), {
      code: 'conflict',
      message: /has tables that the other one has not \(other\)/,
    })
  })

  test('a value that reads otherwise afterwards is noticed, and nothing is kept', async () => {
    const url = await newDatabase()
    const dry = await copy({ folder: source }, { url }, { dryRun: true })
    assert.ok(dry.rows > 50 && dry.dryRun)
    assert.deepEqual(
      await server.sql("select count(*) from pg_tables where schemaname = 'public'", `c${made}`),
      ['0'],
    )
    const empty = await Database.open({ folder, url }, tables)
    for (const owner of ['kernel', ...tables.map(({ plugin }) => plugin)]) await empty.migrate(owner)
    await empty.close()
    await server.sql(
      `create function spoil() returns trigger language plpgsql as $$ begin new.value := upper(new.value); return new; end $$;
       create trigger spoil before insert on facts for each row execute function spoil()`,
      `c${made}`,
    )
    await assert.rejects(copy({ folder: source }, { url }), {
      code: 'conflict',
      message:
        /facts reads otherwise in c\d+ at .* than in .*rivetr\.db \(\d+ of \d+ rows\); nothing was kept/,
    })
    assert.deepEqual(await server.sql('select count(*) from apps', `c${made}`), ['0'])
  })

  test('a Rivetr that runs on either side is in the way', async () => {
    const url = await newDatabase()
    const dataDir = join(folder, 'running')
    await using _running = await createTestKernel({ dataDir, config: { kernel: { databaseUrl: url } } })
    await assert.rejects(copy({ folder: source }, { url }), {
      message: /another Rivetr .* uses the database/,
    })
    await assert.rejects(copy({ url }, { folder: join(folder, 'other') }), {
      message: /another Rivetr .* uses the database/,
    })
    await using _lite = await createTestKernel({ dataDir: join(folder, 'lite') })
    await assert.rejects(copy({ folder: join(folder, 'lite') }, { url: await newDatabase() }), {
      message: /another Rivetr .* uses the data folder/,
    })
  })

  test('tables of a plugin that is not here are named, and stay behind when told so', async () => {
    const known = tables.filter((each) => each !== oddPlugin)
    const url = await newDatabase()
    await assert.rejects(copy({ folder: source }, { url }, { tables: known }), {
      code: 'conflict',
      message:
        /odd_plugin__a_parts, odd_plugin__things\); put the plugins back, or leave them behind with --leave-out odd-plugin$/,
    })
    const report = await copy({ folder: source }, { url }, { tables: known, leaveOut: ['odd-plugin'] })
    assert.ok(!report.tables.some(({ table }) => table.startsWith('odd_plugin')))
    assert.deepEqual(await server.sql("select count(*) from migrations where name like 'odd%'", `c${made}`), [
      '0',
    ])
  })

  test('the command says what it does, by words and as JSON, and takes the address from the configuration', async () => {
    const url = await newDatabase()
    const dataDir = join(folder, 'by-command')
    {
      await using _kernel = await createTestKernel({ dataDir })
    }
    const config = `[kernel]\ndata_dir = ${JSON.stringify(dataDir)}\ndatabase_url = ${JSON.stringify(url)}\n`
    await writeFile(join(folder, 'rivetr.toml'), config)
    const rivetr = (...args: string[]) => rivetrCommand(folder, ['db', 'copy', ...args])
    const dry = await rivetr('--from', 'sqlite', '--to', 'postgresql', '--dry-run')
    assert.match(
      dry.stdout,
      /^\d+ rows of \d+ tables would be copied from .*rivetr\.db to c\d+ at 127\.0\.0\.1:\d+; nothing was changed$/m,
    )
    const done = await rivetr('--from', 'sqlite', '--to', 'postgresql', '--json')
    const report = JSON.parse(done.stdout) as { rows: number; tables: unknown[] }
    assert.ok(report.rows >= 2 && report.tables.length > 5, done.stdout)
    const again = await rivetr('--from', 'sqlite', '--to', 'postgresql')
    assert.equal(again.exitCode, 1)
    assert.match(again.stderr, /is not empty/)
    assert.doesNotMatch(
      `${dry.stdout}${dry.stderr}${done.stdout}${done.stderr}${again.stderr}`,
      /pass%20word|pass word/,
    )
    const same = await rivetr('--from', 'sqlite', '--to', dataDir)
    assert.match(same.stderr, /goes from SQLite to PostgreSQL or back/)
  })
})

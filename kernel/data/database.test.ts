import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtempDisposable, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Database as DatabaseToken, defineEntity, Hooks, p, Secrets } from '@rivetr/sdk'
import { createTestKernel, testDatabase, testDialect, testPlugin } from '@rivetr/testing'
import { whenFree } from './busy.ts'
import { Database, isDuplicate } from './database.ts'
import { AppRow, FactRow, SecretRow } from './entities/index.ts'
import { ensureInstanceId, nextEpoch } from './facts.ts'

const Note = defineEntity({
  name: 'DatabaseTestNote',
  tableName: 'notes__notes',
  properties: { id: p.string().primary(), text: p.text() },
})
const noteTables = {
  plugin: 'notes',
  entities: [Note],
  migrations: [
    {
      name: '0001-first',
      sqlite: ['create table `notes__notes` (`id` text not null primary key, `text` text not null)'],
      postgresql: [
        'create table "notes__notes" ("id" text collate "C" not null, "text" text collate "C" not null, primary key ("id"))',
      ],
    },
  ],
}

/** PostgreSQL has its own of them in test/e2e/postgresql.test.ts. */
const onSqlite: typeof test | ((...args: unknown[]) => void) =
  testDialect === 'sqlite' ? test : () => undefined

async function open(tables: Parameters<typeof Database.open>[1] = []) {
  const folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-database-'))
  const server = await testDatabase()
  const database = await Database.open({ folder: folder.path, url: server?.url }, tables)
  return {
    database,
    folder: folder.path,
    url: server?.url,
    async [Symbol.asyncDispose]() {
      await database.close()
      await folder.remove()
      await server?.[Symbol.asyncDispose]()
    },
  }
}

test('the migrations make exactly the tables that the entities describe', async () => {
  await using here = await open()
  await here.database.migrate('kernel')
  assert.equal((await here.database.drift()).trim(), '')
})

test('a migration runs once, for its owner alone', async () => {
  await using here = await open([noteTables])
  await here.database.migrate('kernel')
  await assert.rejects(here.database.rows.count(Note, {}), /no such table|does not exist/)
  await here.database.migrate('notes')
  await here.database.migrate('notes')
  assert.equal(await here.database.rows.count(Note, {}), 0)
})

test('a migration that fails half-way leaves nothing of itself', async () => {
  const bad = {
    ...noteTables,
    migrations: [
      {
        name: '0001-bad',
        sqlite: [...noteTables.migrations.flatMap(({ sqlite }) => sqlite), 'no sql'],
        postgresql: [...noteTables.migrations.flatMap(({ postgresql }) => postgresql), 'no sql'],
      },
    ],
  }
  await using here = await open([bad])
  await here.database.migrate('kernel')
  await assert.rejects(here.database.migrate('notes'))
  await assert.rejects(here.database.rows.count(Note, {}), /no such table|does not exist/)
})

onSqlite('a file that is no database is refused by name, and left as it is', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-database-'))
  const file = join(folder.path, 'rivetr.db')
  await writeFile(file, 'this is not a database, however long one looks at it'.repeat(100))
  await assert.rejects(Database.open({ folder: folder.path }, []), {
    code: 'data_unusable',
    message: /rivetr\.db cannot be read: .*nothing was changed, restore it from a backup/,
  })
})

test('a database of a newer Rivetr is refused, and left as it is', async () => {
  await using here = await open()
  await here.database.migrate('kernel')
  const Ran = defineEntity({
    name: 'DatabaseTestMigration',
    tableName: 'migrations',
    properties: { id: p.integer().primary(), name: p.string() },
  })
  await here.database.close()
  const own = await Database.open({ folder: here.folder, url: here.url }, [
    { plugin: 'none', entities: [Ran], migrations: [] },
  ])
  await own.rows.insert(Ran, { id: 9999, name: 'kernel/9999-future' })
  await own.close()
  await assert.rejects(Database.open({ folder: here.folder, url: here.url }, []), {
    code: 'data_unusable',
    message: /made by a newer Rivetr \(kernel\/9999-future\); use that version, nothing was changed/,
  })
})

onSqlite('nothing of PostgreSQL is loaded for SQLite', async () => {
  const script = `import { createRequire } from 'node:module'
import { createTestKernel } from '@rivetr/testing'
await using kernel = await createTestKernel({ builtIns: ['auth', 'git', 'webhooks'] })
const loaded = Object.keys(createRequire(import.meta.url).cache)
console.log(loaded.filter((file) => /\\/better-sqlite3\\//.test(file)).length > 0, loaded.filter((file) => /node_modules\\/(pg|postgres|@mikro-orm\\/postgresql)/.test(file)).join())`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const said = (await child.stdout.toArray()).join('')
  assert.equal(said, 'true \n')
})

test('a transaction that throws leaves nothing', async () => {
  await using here = await migrated()
  const failing = here.database.transaction(async (rows) => {
    await rows.insert(FactRow, { name: 'colour', value: 'red' })
    throw new Error('changed my mind')
  })
  await assert.rejects(failing, /changed my mind/)
  assert.equal(await here.database.rows.count(FactRow, { name: 'colour' }), 0)
})

test('transactions run one at a time: nothing that is read in one changes before it writes', async () => {
  await using here = await migrated()
  await here.database.rows.insert(FactRow, { name: 'count', value: '0' })
  const addOne = () =>
    here.database.transaction(async (rows) => {
      const row = await rows.findOne(FactRow, { name: 'count' })
      await new Promise(setImmediate)
      await rows.nativeUpdate(FactRow, { name: 'count' }, { value: String(Number(row?.value) + 1) })
    })
  await Promise.all(Array.from({ length: 20 }, addOne))
  assert.equal((await here.database.rows.findOne(FactRow, { name: 'count' }))?.value, '20')
})

test('a transaction reads what it wrote itself, never what it remembers', async () => {
  await using here = await migrated()
  const seen = await here.database.transaction(async (rows) => {
    await rows.insert(FactRow, { name: 'colour', value: 'red' })
    const before = await rows.findOne(FactRow, { name: 'colour' })
    await rows.nativeUpdate(FactRow, { name: 'colour' }, { value: 'blue' })
    return [before?.value, (await rows.findOne(FactRow, { name: 'colour' }))?.value]
  })
  assert.deepEqual(seen, ['red', 'blue'])
})

test('rows and transactions outside throw inside a transaction, instead of waiting for ever', async () => {
  await using here = await migrated()
  const { database } = here
  await assert.rejects(
    database.transaction(() => database.rows.count(FactRow, {})),
    /Database\.rows may not be awaited inside a database transaction/,
  )
  await assert.rejects(
    database.transaction(() => database.transaction(async () => undefined)),
    /Database\.transaction may not be awaited inside/,
  )
})

onSqlite(
  'I5: while another process writes for 3 s every write waits, reads go on, and nothing else stands still',
  async () => {
    await using here = await migrated()
    const script = `const { DatabaseSync } = require('node:sqlite')
const database = new DatabaseSync(process.argv[1])
database.exec('begin immediate')
console.log('held')
setTimeout(() => database.exec('commit'), 3_000)`
    const holder = spawn(process.execPath, ['-e', script, join(here.folder, 'rivetr.db')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = once(holder, 'exit')
    await once(holder.stdout, 'data')
    const heldAt = Date.now()
    let longestStandMs = 0
    let tickedAt = heldAt
    const ticking = setInterval(() => {
      longestStandMs = Math.max(longestStandMs, Date.now() - tickedAt)
      tickedAt = Date.now()
    }, 10)
    const { database } = here
    await database.rows.count(FactRow, {})
    assert.ok(Date.now() - heldAt < 2_000, 'a read had to wait')
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        index % 2 === 0
          ? database.rows.insert(FactRow, { name: `plain ${index}`, value: 'x' })
          : database.transaction(async (rows) => {
              const count = await rows.count(FactRow, {})
              await rows.insert(FactRow, { name: `after ${index}`, value: String(count) })
            }),
      ),
    )
    longestStandMs = Math.max(longestStandMs, Date.now() - tickedAt) // a stand that has just ended, too
    clearInterval(ticking)
    assert.ok(Date.now() - heldAt >= 2_500, 'the other process held nothing')
    assert.ok(longestStandMs < 1_000, `everything stood still for ${longestStandMs} ms`)
    assert.equal(await database.rows.count(FactRow, {}), 20)
    await ended
  },
)

test('texts are compared and put in order by their bytes, and nothing comes before everything', async () => {
  await using here = await migrated()
  const names = ['b', 'a', 'B', 'ä', 'a-b', 'ab', '10', '9', '\u{1f600}']
  const rows = names.map((name, at) => ({
    ...{
      id: name,
      scope: 's',
      name: at % 3 === 0 ? `x${name}` : name,
      version: 1,
      sealed: '',
      createdAt: '',
    },
    revokedAt: at % 2 === 0 ? null : name,
  }))
  for (const row of rows) await here.database.rows.insert(SecretRow, row)
  const ids = async (orderBy: Record<string, string>) =>
    (await here.database.rows.find(SecretRow, {}, { orderBy } as never)).map(({ id }) => id)
  const bytes = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  assert.deepEqual(await ids({ id: 'asc' }), bytes)
  assert.deepEqual(await ids({ id: 'desc' }), bytes.toReversed())
  const nothing = bytes.filter((name) => names.indexOf(name) % 2 === 0)
  const something = bytes.filter((name) => names.indexOf(name) % 2 === 1)
  assert.deepEqual(await ids({ revokedAt: 'asc', id: 'asc' }), [...nothing, ...something])
  assert.deepEqual(await ids({ revokedAt: 'desc', id: 'asc' }), [...something.toReversed(), ...nothing])
  assert.equal(await here.database.rows.count(SecretRow, { id: { $lt: 'a' } }), bytes.indexOf('a'))
  assert.equal(await here.database.rows.count(SecretRow, { id: 'A' }), 0)
})

test('values come back as they were: long, quoted, escaped, in their order', async () => {
  await using here = await migrated()
  const text = `'"\\ \n\r\t $1 ? :x -- /* \u2028 \u{1f600} \u0001 ${'long '.repeat(5_000)}`
  const settings = { z: 1, a: { '': text, b: [null, true, 0.1, -1e21, 2 ** 53 - 1] }, nul: 'a\0b' }
  const row = { id: text, name: `${text}2`, runtime: 'x', source: {}, settings, createdAt: '', updatedAt: '' }
  await here.database.rows.insert(AppRow, row as never)
  const found = await here.database.rows.findOne(AppRow, { id: text })
  assert.equal(found?.name, row.name)
  assert.equal(JSON.stringify(found.settings), JSON.stringify(settings))
  assert.deepEqual([found.autoDeploy, found.stopped, found.traffic], [true, false, null])
  await here.database.rows.nativeUpdate(AppRow, { id: text }, { stopped: true, runtimeReason: text })
  assert.equal(await here.database.rows.count(AppRow, { stopped: true, runtimeReason: text }), 1)
})

test('a NUL in a text is refused, wherever it would go', async () => {
  await using here = await migrated()
  const { rows } = here.database
  const refused = { code: 'invalid_input', message: /^value contains the character NUL/ }
  await assert.rejects(rows.insert(FactRow, { name: 'a', value: 'x\0' }), refused)
  await assert.rejects(rows.insertMany(FactRow, [{ name: 'a', value: '\0' }]), refused)
  await assert.rejects(rows.upsert(FactRow, { name: 'a', value: '\0' }), refused)
  await assert.rejects(rows.nativeUpdate(FactRow, { name: 'a' }, { value: '\0' }), refused)
  await assert.rejects(rows.findOne(FactRow, { $or: [{ value: { $in: ['a', 'b\0'] } }] }), refused)
  await assert.rejects(
    here.database.transaction((inside) => inside.count(FactRow, { value: '\0' })),
    refused,
  )
})

test('a row that is there already is told apart from other faults', async () => {
  await using here = await migrated()
  await here.database.rows.insert(FactRow, { name: 'colour', value: 'red' })
  const error = await here.database.rows.insert(FactRow, { name: 'colour', value: 'blue' }).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.equal(isDuplicate(error), true)
  assert.equal(isDuplicate(new Error('other')), false)
})

test('a plugin reaches its own entities, and no others', async () => {
  let database: DatabaseToken | undefined
  let hooks: Hooks | undefined
  let secrets: Secrets | undefined
  const notes = testPlugin(
    { name: 'notes', requires: ['database', 'hooks', 'secrets'] },
    {
      entities: [Note],
      migrations: noteTables.migrations,
      setup(ctx) {
        database = ctx.get(DatabaseToken)
        hooks = ctx.get(Hooks)
        secrets = ctx.get(Secrets)
      },
    },
  )
  await using _kernel = await createTestKernel({ plugins: [notes] })
  assert.ok(database && hooks && secrets)
  const [own, fire, store] = [database, hooks, secrets]
  await own.transaction(async (rows) => {
    await rows.insert(Note, { id: '1', text: 'mine' })
  })
  assert.equal(await own.rows.count(Note, {}), 1)
  const foreign = { code: 'forbidden', message: /plugin notes may use its own entities only/ }
  await assert.rejects(async () => own.rows.find(FactRow, {}), foreign)
  await assert.rejects(
    own.transaction((rows) => rows.find(FactRow, {})),
    foreign,
  )
  await assert.rejects(
    own.transaction(() => fire.call('preBuild', {} as never)),
    /may not be awaited inside/,
  )
  await assert.rejects(
    own.transaction(() => store.put('notes', 'x', 'y')),
    /may not be awaited inside/,
  )
})

test('an instance keeps its id, and counts its boots', async () => {
  await using here = await migrated()
  const id = await ensureInstanceId(here.database, here.folder)
  assert.equal(await ensureInstanceId(here.database, here.folder), id)
  assert.deepEqual([await nextEpoch(here.database), await nextEpoch(here.database)], [1, 2])
})

test('an instance that lost its database is still known as itself', async () => {
  await using lost = await migrated()
  const id = await ensureInstanceId(lost.database, lost.folder)
  await using made = await migrated()
  assert.notEqual(await ensureInstanceId(made.database, made.folder), id)
  await using anew = await migrated()
  assert.equal(await ensureInstanceId(anew.database, lost.folder), id)
})

async function migrated() {
  const here = await open()
  await here.database.migrate('kernel')
  return here
}

onSqlite('I7: rows that were read are no open transaction: the log is written back meanwhile', async () => {
  await using here = await open([noteTables])
  for (const owner of ['kernel', 'notes']) await here.database.migrate(owner)
  await here.database.transaction((rows) => rows.insert(Note, { id: 'a', text: 'x' }))
  await here.database.rows.find(Note, {})
  using other = new DatabaseSync(join(here.folder, 'rivetr.db'))
  const { busy, log, checkpointed } = other.prepare('pragma wal_checkpoint(truncate)').get() ?? {}
  assert.deepEqual([busy, log, checkpointed], [0, 0, 0])
})

for (const [what, lost] of [
  ['its index is gone', 0],
  ['the last pages never reached the disk', 5_000],
] as const)
  onSqlite(`I7: after a power cut the database opens with all that was whole: ${what}`, async () => {
    await using before = await open([noteTables])
    for (const owner of ['kernel', 'notes']) await before.database.migrate(owner)
    for (let at = 0; at < 20; at += 1)
      await before.database.transaction((rows) =>
        rows.insert(Note, { id: String(at).padStart(2, '0'), text: 'x'.repeat(4_000) }),
      )
    await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-database-'))
    for (const name of ['rivetr.db', 'rivetr.db-wal'])
      await copyFile(join(before.folder, name), join(folder.path, name))
    const log = join(folder.path, 'rivetr.db-wal')
    await truncate(log, (await stat(log)).size - lost)
    const after = await Database.open({ folder: folder.path }, [noteTables])
    try {
      const ids = (await after.rows.find(Note, {}, { orderBy: { id: 'asc' } })).map(({ id }) => Number(id))
      assert.deepEqual(ids, [...ids.keys()], 'what is there is the beginning')
      assert.ok(lost === 0 ? ids.length === 20 : ids.length > 10 && ids.length < 20, `${ids.length} rows`)
      await after.transaction((rows) => rows.upsert(Note, { id: '99', text: 'after' }))
    } finally {
      await after.close()
    }
  })

onSqlite(
  'I7: a write to a database that may only be read is unavailable, and says no statement',
  async () => {
    await using here = await open()
    using readOnly = new DatabaseSync(join(here.folder, 'rivetr.db'), { readOnly: true })
    await assert.rejects(
      whenFree(async () => readOnly.exec("create table t as select 'a value'")),
      { code: 'unavailable', message: 'the database could not be written' },
    )
  },
)

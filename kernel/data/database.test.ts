import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { Database as DatabaseToken, defineEntity, Hooks, p, Secrets } from '@rivetr/sdk'
import { createTestKernel, testPlugin } from '@rivetr/testing'
import { Database, isDuplicate } from './database.ts'
import { FactRow } from './entities/index.ts'
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
    },
  ],
}

async function open(tables: Parameters<typeof Database.open>[1] = []) {
  const folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-database-'))
  const database = await Database.open(folder.path, tables)
  return {
    database,
    folder: folder.path,
    async [Symbol.asyncDispose]() {
      await database.close()
      await folder.remove()
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
  await assert.rejects(here.database.rows.count(Note, {}), /no such table/)
  await here.database.migrate('notes')
  await here.database.migrate('notes')
  assert.equal(await here.database.rows.count(Note, {}), 0)
})

test('a migration that fails half-way leaves nothing of itself', async () => {
  const bad = {
    ...noteTables,
    migrations: [
      { name: '0001-bad', sqlite: [...noteTables.migrations.flatMap(({ sqlite }) => sqlite), 'no sql'] },
    ],
  }
  await using here = await open([bad])
  await here.database.migrate('kernel')
  await assert.rejects(here.database.migrate('notes'))
  await assert.rejects(here.database.rows.count(Note, {}), /no such table/)
})

test('a file that is no database is refused by name, and left as it is', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-database-'))
  const file = join(folder.path, 'rivetr.db')
  await writeFile(file, 'this is not a database, however long one looks at it'.repeat(100))
  await assert.rejects(Database.open(folder.path, []), {
    code: 'data_unusable',
    message: /rivetr\.db cannot be read: .*nothing was changed, restore it from a backup/,
  })
})

test('a database of a newer Rivetr is refused, and left as it is', async () => {
  await using here = await open()
  await here.database.migrate('kernel')
  await here.database.close()
  const raw = new DatabaseSync(join(here.folder, 'rivetr.db'))
  raw.exec("insert into migrations (name, executed_at) values ('kernel/9999-future', 0)")
  raw.close()
  await assert.rejects(Database.open(here.folder, []), {
    code: 'data_unusable',
    message: /made by a newer Rivetr \(kernel\/9999-future\); use that version, nothing was changed/,
  })
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

test('I5: while another process writes for 3 s every write waits, reads go on, and nothing else stands still', async () => {
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

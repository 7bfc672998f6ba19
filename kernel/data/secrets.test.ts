import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempDisposable, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { TestClock, testDatabase } from '@rivetr/testing'
import { Database } from './database.ts'
import { SecretRow } from './entities/index.ts'
import { SecretStore } from './secrets.ts'

async function open() {
  const folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-secrets-'))
  const server = await testDatabase()
  const database = await Database.open({ folder: folder.path, url: server?.url }, [])
  await database.migrate('kernel')
  return {
    database,
    folder: folder.path,
    store: new SecretStore(database, randomBytes(32), new TestClock()),
    async [Symbol.asyncDispose]() {
      await database.close()
      await server?.[Symbol.asyncDispose]()
      await folder.remove()
    },
  }
}

test('each put is a new version, and the newest is found', async () => {
  await using here = await open()
  assert.equal(await here.store.put('app', 'TOKEN', 'one'), 'TOKEN@1')
  assert.equal(await here.store.put('app', 'TOKEN', 'two'), 'TOKEN@2')
  assert.equal(await here.store.find('app', 'TOKEN'), 'two')
  assert.deepEqual(await here.store.findVersion('app', 'TOKEN', 1), { value: 'one', version: 1 })
})

test('scopes keep names apart, and a scope is removed as a whole', async () => {
  await using here = await open()
  await here.store.put('a', 'TOKEN', 'of a')
  await here.store.put('b', 'TOKEN', 'of b')
  await here.store.remove('a')
  assert.equal(await here.store.find('a', 'TOKEN'), undefined)
  assert.equal(await here.store.find('b', 'TOKEN'), 'of b')
})

test('names are told by their beginning, each once', async () => {
  await using here = await open()
  for (const name of ['lua.b.KEY', 'lua.a.KEY', 'lua.a.KEY', 'luaXa.KEY', 'TOKEN'])
    await here.store.put('app', name, 'value')
  await here.store.put('other', 'lua.c.KEY', 'value')
  assert.deepEqual(await here.store.names('app', 'lua.'), ['lua.a.KEY', 'lua.b.KEY'])
  assert.deepEqual(await here.store.names('app', '%'), [])
})

test('a version that was revoked is replaced by the newest that is not', async () => {
  await using here = await open()
  for (const value of ['one', 'two', 'three']) await here.store.put('app', 'TOKEN', value)
  await here.database.rows.nativeUpdate(SecretRow, { version: { $in: [1, 3] } }, { revokedAt: 'now' })
  assert.equal(await here.store.find('app', 'TOKEN'), 'two')
  assert.deepEqual(await here.store.findVersion('app', 'TOKEN', 1), { value: 'two', version: 2 })
})

test('earlier versions are revoked, of that name and scope alone, and no version is given twice', async () => {
  await using here = await open()
  for (const value of ['one', 'two', 'three']) await here.store.put('app', 'TOKEN', value)
  await here.store.put('app', 'OTHER', 'other')
  await here.store.put('another app', 'TOKEN', 'foreign')
  await here.database.transaction((rows) => here.store.revokeBefore(rows, 'app', 'TOKEN', 3))
  for (const version of [1, 2, 3])
    assert.deepEqual(await here.store.findVersion('app', 'TOKEN', version), { value: 'three', version: 3 })
  assert.deepEqual(await here.store.findVersion('app', 'OTHER', 1), { value: 'other', version: 1 })
  assert.deepEqual(await here.store.findVersion('another app', 'TOKEN', 1), { value: 'foreign', version: 1 })
  assert.equal(await here.store.put('app', 'TOKEN', 'four'), 'TOKEN@4')
})

for (const [what, change] of [
  ['another name', { name: 'OTHER' }],
  ['another scope', { scope: 'other' }],
  ['another version', { version: 7 }],
] as const) {
  test(`a row that was moved to ${what} does not open`, async () => {
    await using here = await open()
    await here.store.put('app', 'TOKEN', 'value')
    await here.database.rows.nativeUpdate(SecretRow, {}, change)
    const { scope, name } = { scope: 'app', name: 'TOKEN', ...change }
    await assert.rejects(here.store.find(scope, name), { code: 'data_unusable' })
  })
}

test('a ciphertext that was changed does not open', async () => {
  await using here = await open()
  await here.store.put('app', 'TOKEN', 'value')
  const row = await here.database.rows.findOne(SecretRow, { scope: 'app' })
  const bytes = Buffer.from(row?.sealed ?? '', 'base64')
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  await here.database.rows.nativeUpdate(SecretRow, {}, { sealed: bytes.toString('base64') })
  await assert.rejects(here.store.find('app', 'TOKEN'), {
    code: 'data_unusable',
    message: /app\/TOKEN@1 cannot be opened with this key file/,
  })
})

test('another key opens nothing', async () => {
  await using here = await open()
  await here.store.put('app', 'TOKEN', 'value')
  const other = new SecretStore(here.database, randomBytes(32), new TestClock())
  await assert.rejects(other.find('app', 'TOKEN'), { code: 'data_unusable' })
})

test('no byte of a secret stands in the database', async () => {
  await using here = await open()
  await here.store.put('app', 'TOKEN', 'a-rather-long-and-rare-value')
  const stored = JSON.stringify(await here.database.rows.find(SecretRow, {}))
  assert.match(stored, /"TOKEN"/)
  assert.ok(!stored.includes('a-rather-long-and-rare-value'))
  for (const file of ['rivetr.db', 'rivetr.db-wal']) {
    const bytes = await readFile(join(here.folder, file)).catch(() => Buffer.alloc(0))
    assert.ok(!bytes.includes('a-rather-long-and-rare-value'), file)
  }
})

for (const value of ['', '\n', 'é 漢字 🚀 \u2028', `-----BEGIN KEY-----\r\n${'x'.repeat(100_000)}\n`]) {
  test(`a value of ${value.length} characters comes back as it was: ${JSON.stringify(value.slice(0, 20))}`, async () => {
    await using here = await open()
    await here.store.put('app', 'TOKEN', value)
    assert.equal(await here.store.find('app', 'TOKEN'), value)
  })
}

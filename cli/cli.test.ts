import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { rivetr, serve, temporaryFolder } from './test-command-line.ts'

test('an error of the API is told in words, and as JSON where that was asked for', async () => {
  const error = { code: 'not_found', message: 'no app "shop"', requestId: 'r1' }
  const api = await serve({ 'GET /api/apps/shop': () => ({ status: 404, body: { error } }) })
  const people = await rivetr(api, 'apps', 'show', 'shop')
  assert.deepEqual([people.exitCode, people.stderr, people.stdout], [1, 'rivetr: no app "shop"\n', ''])
  const machines = await rivetr(api, 'apps', 'show', 'shop', '--json')
  assert.deepEqual([machines.exitCode, JSON.parse(machines.stdout)], [1, { error }])
})

test('wrong use exits with 2, and nobody there with 3', async () => {
  const nobody = { env: { RIVETR_DATA_DIR: await temporaryFolder() } }
  assert.equal((await rivetr(nobody, 'apps', 'list')).exitCode, 3)
  assert.match((await rivetr(nobody, 'apps', 'list')).stderr, /api\.sock \("rivetr serve" starts it\)/)
  assert.equal((await rivetr(nobody, 'nonsense')).exitCode, 2)
  assert.equal((await rivetr(nobody, 'logs', 'shop', '-n', 'many')).exitCode, 2)
  const machines = await rivetr(nobody, 'nonsense', '--json')
  assert.deepEqual([machines.stderr, JSON.parse(machines.stdout).error.code], ['', 'usage'])
  assert.equal((await rivetr(nobody, 'deploy', '--help')).exitCode, 0)
})

test('another machine is reached by its address, with a key that is never on the command line', async () => {
  const api = await serve({ 'GET /api/apps': () => ({ body: { items: [] } }) })
  const missing = await rivetr({ env: { RIVETR_URL: api.url } }, 'apps', 'list')
  assert.deepEqual([missing.exitCode, /RIVETR_API_KEY/.test(missing.stderr)], [2, true])
  assert.equal(
    (await rivetr({ env: { RIVETR_API_KEY: 'rvt_x' } }, 'apps', 'list', '--url', api.url)).exitCode,
    0,
  )
  assert.equal(api.requests.at(-1)?.authorization, 'Bearer rvt_x')
  assert.equal((await rivetr({ env: {} }, 'apps', 'list', '--url', 'ftp://x')).exitCode, 2)
})

test('the data folder stands in rivetr.toml where nothing else names it', async () => {
  const api = await serve({ 'GET /api/apps': () => ({ body: { items: [] } }) })
  const file = join(await temporaryFolder(), 'rivetr.toml')
  await writeFile(file, `[kernel]\ndata_dir = "${api.env.RIVETR_DATA_DIR}"\n`)
  assert.equal((await rivetr({ env: { RIVETR_CONFIG: file } }, 'apps', 'list')).exitCode, 0)
  await writeFile(file, '[kernel')
  assert.equal((await rivetr({ env: { RIVETR_CONFIG: file } }, 'apps', 'list')).exitCode, 2)
})

test('stop returns when nobody answers any more and the data folder is free', async () => {
  let lock: DatabaseSync | undefined
  const api = await serve({
    'POST /api/system/stop': () => ({ status: 202, body: { stopping: true } }),
    'GET /api/system/health': () => {
      api.close()
      setTimeout(() => lock?.close(), 150)
      return { body: { healthy: true, version: '1', instance: 'i', plugins: {} } }
    },
  })
  lock = new DatabaseSync(join(api.env.RIVETR_DATA_DIR, 'rivetr.lock'))
  lock.exec('pragma locking_mode = exclusive; begin exclusive')
  const { exitCode, stdout } = await rivetr(api, 'stop', '--all', '--json')
  assert.equal(lock.isOpen, false)
  assert.deepEqual([exitCode, JSON.parse(stdout)], [0, { stopped: true, all: true }])
  assert.deepEqual(api.requests[0]?.body, { all: true })
})

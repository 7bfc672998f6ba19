import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rivetr, serve } from '../test-command-line.ts'

const kept = { registry: 'ghcr.io', username: 'reader', createdAt: '2026-01-01T00:00:00.000Z' }

test('registries login reads the password from standard input, and says it nowhere', async () => {
  const api = await serve({ 'PUT /api/registries': () => ({ body: kept }) })
  const login = (...more: string[]) =>
    rivetr({ ...api, stdin: 'pull-me-7Q2x\n' }, 'registries', 'login', 'ghcr.io', ...more)
  assert.equal((await login()).exitCode, 2)
  assert.equal(api.requests.length, 0)

  const { exitCode, stdout, stderr } = await login('--username', 'reader')
  assert.equal(exitCode, 0, stderr)
  assert.deepEqual(api.requests[0]?.body, {
    registry: 'ghcr.io',
    username: 'reader',
    password: 'pull-me-7Q2x',
  })
  assert.match(stdout, /images of ghcr\.io are read as reader/)
  assert.doesNotMatch(stdout + stderr, /pull-me/)
})

test('registries list shows who reads where, or that nobody does', async () => {
  const items: object[] = []
  const api = await serve({ 'GET /api/registries': () => ({ body: { items } }) })
  assert.match((await rivetr(api, 'registries', 'list')).stdout, /no credentials for registries/)
  items.push(kept)
  assert.match(
    (await rivetr(api, 'registries', 'list')).stdout,
    /REGISTRY +USER +SINCE\n *ghcr\.io +reader +2026-01-01/,
  )
  assert.deepEqual(JSON.parse((await rivetr(api, 'registries', 'list', '--json')).stdout), { items })
})

test('registries logout names the registry as it is, with its port', async () => {
  const api = await serve({
    'DELETE /api/registries/registry.test%3A5000': () => ({ status: 204 }),
    'DELETE /api/registries/other.test': () => ({
      status: 404,
      body: { error: { code: 'not_found', message: 'there are no credentials for other.test' } },
    }),
  })
  const { exitCode, stdout } = await rivetr(api, 'registries', 'logout', 'registry.test:5000')
  assert.equal(exitCode, 0)
  assert.match(stdout, /forgot the credentials of registry\.test:5000/)
  const unknown = await rivetr(api, 'registries', 'logout', 'other.test')
  assert.notEqual(unknown.exitCode, 0)
  assert.match(unknown.stderr, /no credentials for other\.test/)
})

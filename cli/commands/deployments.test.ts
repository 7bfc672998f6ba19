import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deployment, rivetr, serve, shop } from '../test-command-line.ts'

test('deploy follows the log until the deployment is live', async () => {
  let state = 'building'
  const api = await serve({
    'POST /api/apps/shop/deploy': () => ({ status: 202, body: deployment('queued') }),
    'GET /api/deployments/d1': () => {
      const body = deployment(state)
      state = 'live'
      return { body }
    },
    'GET /api/deployments/d1/logs?after=0': () => ({ body: { items: [{ seq: 1, text: 'building it' }] } }),
    'GET /api/deployments/d1/logs?after=1': () => ({ body: { items: [] } }),
  })
  const { exitCode, stdout } = await rivetr(api, 'deploy', 'shop')
  assert.equal(exitCode, 0)
  assert.equal(stdout, 'deployment d1 of shop\nbuilding it\nshop v3 live (deployment d1)\n')
})

test('deploy fails when the deployment does, with reason and last lines', async () => {
  const failed = {
    ...deployment('failed'),
    error: { code: 'unhealthy', message: 'no answer on port 3000', step: 'check' },
    lastLines: ['boom'],
  }
  const api = await serve({
    'POST /api/apps/shop/deploy': () => ({ status: 202, body: deployment('queued') }),
    'GET /api/deployments/d1': () => ({ body: failed }),
    'GET /api/deployments/d1/logs?after=0': () => ({ body: { items: [] } }),
  })
  const people = await rivetr(api, 'deploy', 'shop')
  assert.equal(people.exitCode, 1)
  assert.match(
    people.stdout,
    / {2}\| boom\nshop v3 failed in step check: no answer on port 3000 \(deployment d1\)\n$/,
  )
  const machines = await rivetr(api, 'deploy', 'shop', '--json')
  assert.equal(machines.exitCode, 1)
  assert.deepEqual(JSON.parse(machines.stdout), failed)
  assert.match(machines.stderr, /deployment d1/)
})

test('deploy --no-follow returns as soon as it is queued', async () => {
  const api = await serve({
    'POST /api/apps/shop/deploy': () => ({ status: 202, body: deployment('queued') }),
  })
  const commit = 'a'.repeat(40)
  const { exitCode, stdout } = await rivetr(
    api,
    'deploy',
    'shop',
    '--no-follow',
    '--json',
    '--commit',
    commit,
  )
  assert.equal(exitCode, 0)
  assert.equal(JSON.parse(stdout).state, 'queued')
  assert.deepEqual(
    api.requests.map(({ body }) => body),
    [{ commit }],
  )
})

test('rollback takes the release before the live one, or the one that is named', async () => {
  const items = [
    deployment('failed', { id: 'd4', release: 3 }),
    deployment('live', { id: 'd3', release: 2 }),
    deployment('retired', { id: 'd2', release: 2 }),
    deployment('retired', { id: 'd1', release: 1 }),
  ]
  const api = await serve({
    'GET /api/apps/shop': () => ({ body: shop }),
    'GET /api/apps/shop/deployments?limit=200': () => ({ body: { items } }),
    'POST /api/deployments/d1/rollback': () => ({ status: 202, body: deployment('queued') }),
  })
  assert.equal((await rivetr(api, 'rollback', 'shop', '--no-follow')).exitCode, 0)
  assert.equal((await rivetr(api, 'rollback', 'shop', '--no-follow', '--to', 'v1')).exitCode, 0)
  const missing = await rivetr(api, 'rollback', 'shop', '--to', 'v3')
  assert.equal(missing.exitCode, 1)
  assert.match(missing.stderr, /no release v3 that has served/)
  assert.equal((await rivetr(api, 'rollback', 'shop', '--to', 'latest')).exitCode, 2)
})

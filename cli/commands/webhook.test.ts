import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rivetr, serve, shop } from '../test-command-line.ts'

test('webhook makes a secret where there is none, and replaces one only when told to', async () => {
  let configured = false
  const paths = { github: '/webhooks/github' }
  const api = await serve({
    'GET /api/apps/shop/webhook': () => ({ body: { configured, paths } }),
    'PUT /api/apps/shop/webhook': () => {
      configured = true
      return { body: { secret: 's3cret' } }
    },
  })
  const made = await rivetr(api, 'webhook', 'shop', '--json')
  assert.deepEqual(JSON.parse(made.stdout), { configured: true, paths, secret: 's3cret' })
  assert.deepEqual(JSON.parse((await rivetr(api, 'webhook', 'shop', '--json')).stdout), {
    configured: true,
    paths,
  })
  assert.match((await rivetr(api, 'webhook', 'shop', '--replace')).stdout, /s3cret/)
})

test('deliveries says what came, what it did, why not, and what was rejected', async () => {
  const common = { app: 'a1', provider: 'github', delivery: 'g1', repeats: 0, receivedAt: 'then' }
  const items = [
    {
      ...common,
      id: '2',
      event: 'push',
      ref: 'refs/heads/main',
      commit: 'c'.repeat(40),
      outcome: 'queued',
      deployment: 'd1',
    },
    { ...common, id: '1', event: 'ping', outcome: 'ping', reason: 'the webhook works' },
  ]
  const rejected = { count: 2, lastReason: 'gitlab: no', lastAt: 'now', providers: { gitlab: 2 } }
  const api = await serve({
    'GET /api/apps': () => ({ body: { items: [shop] } }),
    'GET /api/apps/shop/deliveries?limit=20': () => ({ body: { items, rejected } }),
    'GET /api/deliveries?limit=5': () => ({ body: { items, rejected: { count: 0, providers: {} } } }),
    'GET /api/deliveries?limit=6': () => ({ body: { items: [], rejected: { count: 0, providers: {} } } }),
  })
  assert.equal(
    (await rivetr(api, 'deliveries', 'shop')).stdout,
    [
      'RECEIVED  FROM    EVENT  REF              COMMIT      OUTCOME  WHAT IT DID',
      'then      github  push   refs/heads/main  cccccccccc  queued   d1',
      'then      github  ping                                ping     the webhook works',
      'rejected since Rivetr started: 2; the last at now: gitlab: no',
      '',
    ].join('\n'),
  )
  assert.match(
    (await rivetr(api, 'deliveries', '-n', '5')).stdout,
    /^RECEIVED {2}APP .*\nthen {6}shop {2}github/,
  )
  assert.equal((await rivetr(api, 'deliveries', '-n', '6')).stdout, 'no deliveries yet\n')
  const machines = await rivetr(api, 'deliveries', 'shop', '--json')
  assert.deepEqual(JSON.parse(machines.stdout), { items, rejected })
  const help = await rivetr(api, 'deliveries', '--help')
  assert.deepEqual([help.exitCode, /rivetr deliveries shop/.test(help.stdout)], [0, true])
})

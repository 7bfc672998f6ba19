import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rivetr, serve } from '../test-command-line.ts'

test('commit-status takes the token from standard input, and shows what the git host was told', async () => {
  const connection = { kind: 'gitea', apiUrl: 'https://git.test/api/v1', since: 'then' }
  const common = { deployment: 'd1', description: 'live as v3', failures: 0 }
  const items = [
    { ...common, commit: 'c'.repeat(40), wanted: 'success', sent: 'success', state: 'sent' },
    { ...common, commit: 'b'.repeat(40), wanted: 'failure', state: 'given-up', fault: '401: no' },
  ]
  let set = false
  const api = await serve({
    'GET /api/apps/shop/commit-status?limit=20': () => ({
      body: set ? { items, connection } : { items: [] },
    }),
    'PUT /api/apps/shop/commit-status': () => {
      set = true
      return { body: connection }
    },
    'DELETE /api/apps/shop/commit-status': () => ({ status: 204 }),
  })
  assert.match((await rivetr(api, 'commit-status', 'show', 'shop')).stdout, /no git host is told/)
  const empty = await rivetr(api, 'commit-status', 'set', 'shop')
  assert.deepEqual([empty.exitCode, /standard input/.test(empty.stderr)], [2, true])
  const words = ['commit-status', 'set', 'shop', '--kind', 'gitea']
  const made = await rivetr({ ...api, stdin: 't0ken\n' }, ...words)
  assert.deepEqual(api.requests.at(-1)?.body, { token: 't0ken', kind: 'gitea' })
  assert.ok(made.exitCode === 0 && !made.stdout.includes('t0ken'))
  assert.equal(
    (await rivetr(api, 'commit-status', 'show', 'shop')).stdout,
    [
      'gitea at https://git.test/api/v1 is told since then',
      'COMMIT      WANTED   TOLD     STATE     DEPLOYMENT  WHAT IS WRONG',
      'cccccccccc  success  success  sent      d1',
      'bbbbbbbbbb  failure           given-up  d1          401: no',
      '',
    ].join('\n'),
  )
  const machines = await rivetr(api, 'commit-status', 'show', 'shop', '--json')
  assert.deepEqual(JSON.parse(machines.stdout), { items, connection })
  assert.equal((await rivetr(api, 'commit-status', 'remove', 'shop')).exitCode, 0)
})

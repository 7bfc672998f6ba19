import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rivetr, serve } from '../test-command-line.ts'

test('known-hosts trust pins nothing before a person has named the fingerprint', async () => {
  const shown = { host: 'git.test', port: 2222, key: 'ssh-ed25519 AAAA', fingerprint: 'SHA256:abc' }
  const api = await serve({
    'POST /api/known-hosts/scan': () => ({ body: { items: [shown] } }),
    'POST /api/known-hosts': () => ({ status: 201, body: { ...shown, id: 'h1' } }),
  })
  const trust = (...more: string[]) =>
    rivetr(api, 'known-hosts', 'trust', 'git.test', '--port', '2222', ...more)
  assert.match((await trust()).stdout, /git\.test:2222 +ssh-ed25519 +SHA256:abc/)
  assert.equal((await trust('--fingerprint', 'SHA256:other')).exitCode, 2)
  assert.deepEqual(
    api.requests.map(({ path }) => path),
    ['/api/known-hosts/scan', '/api/known-hosts/scan'],
  )
  assert.match((await trust('--fingerprint', 'SHA256:abc')).stdout, /pinned SHA256:abc/)
  assert.deepEqual(api.requests.at(-1)?.body, { host: 'git.test', port: 2222, key: 'ssh-ed25519 AAAA' })
})

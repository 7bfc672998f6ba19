import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventOf } from './payload.ts'

test('a script gets no folder of the machine and no hash of a password, wherever they stand', () => {
  const app = { id: '1', name: 'shop', source: { url: 'https://git.test/shop.git', branch: 'main' } }
  const deploy = {
    app,
    source: { folder: '/data/workspaces/1' },
    release: { number: 3, artefact: { kind: 'folder', path: '/data-apps/1/v3', hash: 'abc' } },
    log() {},
    signal: new AbortController().signal,
  }
  const route = { host: 'shop.test', basicAuth: { users: [{ name: 'a', passwordHash: 'scrypt$' }] } }
  for (const [hook, args] of [
    ['postBuild', [deploy]],
    ['envResolve', [{}, { deploy, for: 'run' }]],
    ['routeResolve', [route, { app }]],
  ] as const)
    assert.doesNotMatch(JSON.stringify(eventOf(hook, args).args), /\/data|scrypt/, hook)
  const [seen] = eventOf('postBuild', [deploy]).args
  assert.deepEqual(JSON.parse(JSON.stringify(seen)), {
    app,
    release: { number: 3, artefact: { kind: 'folder', hash: 'abc' } },
  })
})

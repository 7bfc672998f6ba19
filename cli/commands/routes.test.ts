import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rivetr, serve } from '../test-command-line.ts'

test('routes add keeps the others and replaces the one of the same host and path', async () => {
  const others = [
    { host: 'shop.test', path: '/', basicAuth: { realm: 'r', users: [{ name: 'ada' }] } },
    { host: 'www.shop.test', path: '/' },
  ]
  const api = await serve({
    'GET /api/apps/shop/routes': () => ({ body: { items: others } }),
    'PUT /api/apps/shop/routes': (body) => ({ body: { items: body } }),
  })
  const { stdout, exitCode } = await rivetr(
    api,
    ...'routes add shop WWW.shop.test --redirect https://shop.test'.split(' '),
  )
  assert.equal(exitCode, 0)
  assert.deepEqual(api.requests.at(-1)?.body, [
    others[0],
    { host: 'WWW.shop.test', path: '/', redirect: { to: 'https://shop.test' } },
  ])
  assert.match(stdout, /redirects to https:\/\/shop\.test/)
  const absent = await rivetr(api, 'routes', 'remove', 'shop', 'other.test')
  assert.equal(absent.exitCode, 2)
  assert.match(absent.stderr, /has no route other\.test\//)
})

test('maintenance, pause and resume say what is in force', async () => {
  const api = await serve({
    'PUT /api/apps/shop/traffic': (body) => ({ body }),
    'POST /api/apps/shop/pause': () => ({ body: { pausedUntil: '2026-01-01T00:00:30.000Z' } }),
    'POST /api/apps/shop/resume': () => ({ body: {} }),
  })
  assert.match((await rivetr(api, 'maintenance', 'shop', 'on')).stdout, /maintenance: every request gets 503/)
  assert.deepEqual(api.requests.at(-1)?.body, { maintenance: {} })
  assert.equal((await rivetr(api, 'maintenance', 'shop', 'maybe')).exitCode, 2)
  const paused = await rivetr(api, 'pause', 'shop', '--limit', '30')
  assert.match(paused.stdout, /wait until 2026-01-01T00:00:30\.000Z\n"rivetr resume shop"/)
  assert.deepEqual(api.requests.at(-1)?.body, { limitMs: 30_000 })
  assert.equal((await rivetr(api, 'resume', 'shop')).stdout, 'shop takes requests\n')
})

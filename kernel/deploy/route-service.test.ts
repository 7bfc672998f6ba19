import assert from 'node:assert/strict'
import { scryptSync } from 'node:crypto'
import { test } from 'node:test'
import { type RouteSettings, Routes, routeSettings } from '@rivetr/sdk'
import { createDeployStage, type DeployStage, tester } from '@rivetr/testing'

const route = (settings: object): RouteSettings =>
  routeSettings.parse({ host: 'shop.test', ...settings }) as RouteSettings

async function inTable(stage: DeployStage, settings: object) {
  await stage.kernel.get(Routes).replace(tester, 'shop', [route(settings)])
  return stage.fakes.traffic.table.routes[0]
}

test('what a route is set to do is in the table', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  for (const [settings, expected] of [
    [{}, { httpsOnly: true }],
    [{ https: 'both' }, { httpsOnly: false }],
    [
      { stripPath: true, path: '/api' },
      { stripPath: true, path: '/api' },
    ],
    [{ maxBodyBytes: 5 }, { maxBodyBytes: 5 }],
    [{ firstByteTimeoutMs: 50 }, { firstByteTimeoutMs: 50 }],
    [{ headers: { 'X-A': 'b', Server: null } }, { headers: { 'X-A': 'b', Server: null } }],
    [
      { redirect: { to: 'https://example.test/' } },
      { redirect: { status: 308, location: 'https://example.test', keepPath: true } },
    ],
    [
      { redirect: { to: 'https://example.test/new/', status: 302, keepPath: false } },
      { redirect: { status: 302, location: 'https://example.test/new/', keepPath: false } },
    ],
  ] as const) {
    const found = await inTable(stage, settings)
    assert.deepEqual({ ...found, ...expected }, found)
  }
})

test('a password is stored as a hash, never comes back, and stays for a user that is named without one', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const routes = stage.kernel.get(Routes)
  const first = await inTable(stage, { basicAuth: { users: [{ name: 'ada', password: 'sesame' }] } })
  const hash = first?.basicAuth?.users[0]?.passwordHash ?? ''
  const [scheme, log2N, salt = '', expected] = hash.split('$')
  assert.equal(scheme, 'scrypt')
  const options = { N: 2 ** Number(log2N), r: 8, p: 1 }
  assert.equal(scryptSync('sesame', Buffer.from(salt, 'base64'), 32, options).toString('base64'), expected)

  const shown = await routes.list(tester, 'shop')
  assert.deepEqual(shown[0]?.basicAuth, { realm: 'Restricted', users: [{ name: 'ada' }] })
  assert.doesNotMatch(JSON.stringify(shown), /sesame|scrypt/)

  const second = await inTable(stage, { basicAuth: shown[0]?.basicAuth })
  assert.equal(second?.basicAuth?.users[0]?.passwordHash, hash)
  await assert.rejects(inTable(stage, { basicAuth: { users: [{ name: 'eve' }] } }), {
    code: 'invalid_input',
    message: /the user "eve" of shop\.test\/ has no password yet/,
  })
})

test('maintenance and error pages are in force at once, for every route, and outlive a deployment', async () => {
  await using stage = await createDeployStage()
  await stage.createApp({ routes: [{ host: 'a.test' }, { host: 'b.test' }] })
  const routes = stage.kernel.get(Routes)
  await routes.changeTraffic(tester, 'shop', {
    maintenance: { page: '<p>soon', retryAfterS: 60 },
    errorPages: { 502: '<p>oh' },
  })
  const answers = () => stage.fakes.traffic.table.routes.map(({ respond }) => respond?.status)
  assert.deepEqual(answers(), [503, 503])
  const [first] = stage.fakes.traffic.table.routes
  assert.equal(first?.respond?.body, '<p>soon')
  assert.equal(first?.respond?.headers?.['retry-after'], '60')
  assert.deepEqual(first?.errorPages, { 502: '<p>oh' })
  await stage.deploy('shop')
  assert.deepEqual(answers(), [503, 503])
  const after = await routes.changeTraffic(tester, 'shop', { maintenance: null })
  assert.deepEqual(after, { errorPages: { 502: '<p>oh' } })
  assert.deepEqual(answers(), [undefined, undefined])
})

test('a paused app is held until it is resumed, over a switch of releases too', async () => {
  await using stage = await createDeployStage()
  const { id } = await stage.createApp()
  const routes = stage.kernel.get(Routes)
  const { pausedUntil } = await routes.pause(tester, 'shop', 60_000)
  assert.equal(Date.parse(String(pausedUntil)), stage.clock.now() + 60_000)
  await stage.deploy('shop')
  assert.ok(stage.fakes.traffic.held.has(id))
  assert.deepEqual(await routes.resume(tester, 'shop'), {})
  assert.ok(!stage.fakes.traffic.held.has(id))
  assert.deepEqual(await routes.resume(tester, 'shop'), {})
})

test('a pause ends by its limit', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const routes = stage.kernel.get(Routes)
  await routes.pause(tester, 'shop', 5_000)
  await stage.clock.advance(5_001)
  assert.deepEqual(await routes.traffic(tester, 'shop'), {})
})

test('what would break a message or a page is refused', () => {
  for (const settings of [
    { headers: { 'X-A': 'a\r\nSet-Cookie: b=c' } },
    { headers: { 'Content-Length': '5' } },
    { headers: { 'Transfer-Encoding': 'chunked' } },
    { headers: { 'a b': 'c' } },
    { redirect: { to: 'javascript:alert(1)' } },
    { redirect: { to: '/relative' } },
    { redirect: { to: 'https://user:word@example.test' } },
    { redirect: { to: 'https://example.test/\r\nx' } },
    { redirect: { to: 'https://example.test', status: 200 } },
    { basicAuth: { users: [{ name: 'a:b', password: 'c' }] } },
    { basicAuth: { users: [] } },
    {
      basicAuth: {
        users: [
          { name: 'a', password: 'b' },
          { name: 'a', password: 'c' },
        ],
      },
    },
    { basicAuth: { realm: 'a"\n', users: [{ name: 'a', password: 'b' }] } },
    { maxBodyBytes: -1 },
    { https: 'maybe' },
    { stripPrefix: true },
  ]) {
    assert.equal(
      routeSettings.safeParse({ host: 'shop.test', ...settings }).success,
      false,
      JSON.stringify(settings),
    )
  }
})

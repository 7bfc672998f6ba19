import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rivetr, serve, shop } from '../test-command-line.ts'

test('apps list prints a table for people and one document for machines', async () => {
  const api = await serve({ 'GET /api/apps': () => ({ body: { items: [shop] } }) })
  const people = await rivetr(api, 'apps', 'list')
  assert.equal(
    people.stdout,
    'APP   STATE    RUNTIME  LIVE             ROUTES\nshop  running  native   v2 (cccccccccc)  shop.test\n',
  )
  const machines = await rivetr(api, 'apps', 'list', '--json')
  assert.deepEqual(JSON.parse(machines.stdout), { items: [shop] })
  assert.deepEqual([people.exitCode, machines.exitCode], [0, 0])
})

test('liveness of an app is set, counted and taken away, and the rest of its health check stays', async () => {
  const sent: unknown[] = []
  const health = { kind: 'http', path: '/healthz', intervalMs: 500 }
  let app: object = { ...shop, health }
  const api = await serve({
    'GET /api/apps/shop': () => ({ body: app }),
    'PUT /api/apps/shop': (body) => {
      sent.push(body)
      return { body: shop }
    },
  })
  const update = (...args: string[]) => rivetr(api, 'apps', 'update', 'shop', ...args)
  await update('--liveness', '2m', '--liveness-failures', '5')
  await update('--liveness-failures', '2')
  app = { ...shop, health: { ...health, liveness: { intervalMs: 120_000, failures: 5 } } }
  await update('--liveness', '10s')
  await update('--liveness', 'off')
  app = shop
  await update('--liveness', '10s')
  assert.deepEqual(sent, [
    { health: { ...health, liveness: { intervalMs: 120_000, failures: 5 } } },
    { health: { ...health, liveness: { failures: 2 } } },
    { health: { ...health, liveness: { intervalMs: 10_000, failures: 5 } } },
    { health },
    { health: { kind: 'tcp', liveness: { intervalMs: 10_000 } } },
  ])
  for (const args of [
    ['--liveness', 'often'],
    ['--liveness', 'off', '--liveness-failures', '2'],
  ])
    assert.equal((await update(...args)).exitCode, 2)
  assert.equal(sent.length, 5)
})

test('a list of several pages comes whole', async () => {
  const api = await serve({
    'GET /api/apps?limit=200': () => ({ body: { items: [shop], nextCursor: 'n' } }),
    'GET /api/apps?cursor=n&limit=200': () => ({ body: { items: [{ ...shop, name: 'blog' }] } }),
  })
  const { stdout } = await rivetr(api, 'apps', 'list', '--json')
  assert.deepEqual(
    JSON.parse(stdout).items.map(({ name }: { name: string }) => name),
    ['shop', 'blog'],
  )
})

test('an app says what is wrong with it, and why it is where it is', async () => {
  const stateReason = 'web.1 ended 4 times in a row, the last time with exit code 137 (out of memory)'
  const looping = {
    ...shop,
    state: 'crash-loop',
    stateReason,
    runtimeReason: 'a shell (not docker: no socket)',
  }
  const api = await serve({ 'GET /api/apps/shop': () => ({ body: looping }) })
  const { stdout } = await rivetr(api, 'apps', 'show', 'shop')
  assert.match(stdout, /^state +crash-loop: web\.1 ended 4 times in a row, .*\(out of memory\)$/m)
  assert.match(stdout, /^runtime +native, for a shell \(not docker: no socket\)$/m)
})

test('apps stop, start and restart ask for what they say', async () => {
  const queued = { id: 'd3', app: { id: 'a1', name: 'shop' }, state: 'queued' }
  const api = await serve({
    'POST /api/apps/shop/stop': () => ({ body: { ...shop, state: 'stopped' } }),
    'POST /api/apps/shop/start': () => ({ status: 202, body: queued }),
    'POST /api/apps/shop/restart': () => ({ status: 202, body: queued }),
  })
  assert.match((await rivetr(api, 'apps', 'stop', 'shop')).stdout, /^stopped shop; /)
  for (const verb of ['start', 'restart']) {
    const { exitCode, stdout } = await rivetr(api, 'apps', verb, 'shop', '--no-follow', '--json')
    assert.equal(exitCode, 0)
    assert.deepEqual(JSON.parse(stdout), queued)
  }
})

test('apps create sends only what was said', async () => {
  const api = await serve({ 'POST /api/apps': () => ({ status: 201, body: shop }) })
  const { exitCode } = await rivetr(
    api,
    ...'apps create shop --source https://git.test/shop.git --port 3000 --route shop.test --route x.test/api'.split(
      ' ',
    ),
  )
  assert.equal(exitCode, 0)
  assert.deepEqual(api.requests.at(-1)?.body, {
    name: 'shop',
    source: { kind: 'git', url: 'https://git.test/shop.git' },
    port: 3000,
    routes: [
      { host: 'shop.test', path: '/' },
      { host: 'x.test', path: '/api' },
    ],
  })
})

test('apps update sends only what was said, with the rest of a source that moved', async () => {
  const api = await serve({
    'GET /api/apps/shop': () => ({ body: shop }),
    'PUT /api/apps/shop': () => ({ body: { ...shop, autoDeploy: false } }),
  })
  const sent = async (words: string) => {
    const { exitCode, stdout } = await rivetr(api, ...`apps update shop ${words}`.split(' '))
    assert.equal(exitCode, 0)
    assert.match(stdout, /deploy nothing by themselves/)
    return api.requests.at(-1)?.body
  }
  assert.deepEqual(await sent('--auto-deploy off'), { autoDeploy: false })
  assert.deepEqual(await sent('--watch web/** --watch !docs/**'), { watchPaths: ['web/**', '!docs/**'] })
  assert.deepEqual(await sent('--watch-all'), { watchPaths: [] })
  assert.deepEqual(await sent('--name store'), { name: 'store' })
  assert.deepEqual(await sent('--source https://git.test/store.git'), {
    source: { ...shop.source, url: 'https://git.test/store.git' },
  })
  for (const words of [[], ['--auto-deploy', 'perhaps']])
    assert.equal((await rivetr(api, 'apps', 'update', 'shop', ...words)).exitCode, 2)
})

test('apps delete wants to hear yes', async () => {
  const api = await serve({ 'DELETE /api/apps/shop': () => ({ status: 204 }) })
  const unsure = await rivetr(api, 'apps', 'delete', 'shop')
  assert.equal(unsure.exitCode, 2)
  assert.match(unsure.stderr, /--yes/)
  assert.equal(api.requests.length, 0)
  assert.equal((await rivetr(api, 'apps', 'delete', 'shop', '--yes')).exitCode, 0)
})

test('apps update changes the deploy key or takes it away, and keeps the rest of the source', async () => {
  const source = { ...shop.source, directory: 'api', deployKey: 'old' }
  const api = await serve({
    'GET /api/apps/shop': () => ({ body: { ...shop, source } }),
    'PUT /api/apps/shop': () => ({ body: shop }),
  })
  await rivetr(api, 'apps', 'update', 'shop', '--deploy-key', 'new')
  assert.deepEqual(api.requests.at(-1)?.body, { source: { ...source, deployKey: 'new' } })
  await rivetr(api, 'apps', 'update', 'shop', '--no-deploy-key')
  assert.deepEqual(api.requests.at(-1)?.body, { source: { ...shop.source, directory: 'api' } })
})

test('commands of an app are words of an argument vector, set and taken away', async () => {
  const api = await serve({
    'POST /api/apps': () => ({ status: 201, body: { ...shop, releaseCommand: ['npx', 'migrate'] } }),
    'PUT /api/apps/shop': () => ({ body: shop }),
  })
  const create = ['apps', 'create', 'shop', '--source', 'https://git.test/shop.git']
  const vectors = ['--release-command', 'npx  migrate', '--post-deploy-command', '["sh", "-c", "a && b"]']
  const { stdout } = await rivetr(api, ...create, ...vectors)
  const sent = api.requests.at(-1)?.body as Record<string, unknown>
  assert.deepEqual(sent.releaseCommand, ['npx', 'migrate'])
  assert.deepEqual(sent.postDeployCommand, ['sh', '-c', 'a && b'])
  assert.match(stdout, /release +\["npx","migrate"\]/)

  const update = (...words: string[]) => rivetr(api, 'apps', 'update', 'shop', ...words)
  await update('--post-deploy-command', 'node warm.js')
  assert.deepEqual(api.requests.at(-1)?.body, { postDeployCommand: ['node', 'warm.js'] })
  await update('--no-release-command', '--no-post-deploy-command')
  assert.deepEqual(api.requests.at(-1)?.body, { releaseCommand: null, postDeployCommand: null })

  const before = api.requests.length
  for (const [words, why] of [
    ['migrate && seed', /JSON list/],
    ['echo $HOME', /JSON list/],
    ['[migrate]', /no JSON list/],
    ['["migrate", 1]', /no JSON list/],
    ['[]', /no JSON list/],
    [' ', /empty/],
  ] as const) {
    const { exitCode, stderr } = await update('--release-command', words)
    assert.equal(exitCode, 2, words)
    assert.match(stderr, why)
  }
  assert.equal(api.requests.length, before)
})

test('an app is an image or comes of a source, never both and never neither', async () => {
  const api = await serve({
    'POST /api/apps': () => ({ status: 201, body: shop }),
    'GET /api/apps/shop': () => ({ body: shop }),
    'PUT /api/apps/shop': () => ({ body: shop }),
  })
  const create = (...words: string[]) => rivetr(api, 'apps', 'create', 'shop', ...words)
  await create('--image', 'ghcr.io/acme/shop:v1')
  assert.deepEqual(api.requests.at(-1)?.body, {
    name: 'shop',
    source: { kind: 'image', url: 'ghcr.io/acme/shop:v1' },
  })
  await rivetr(api, 'apps', 'update', 'shop', '--image', 'nginx:1.27')
  assert.deepEqual(api.requests.at(-1)?.body, {
    source: { ...shop.source, kind: 'image', url: 'nginx:1.27' },
  })
  const before = api.requests.length
  assert.equal((await create()).exitCode, 2)
  assert.equal((await create('--image', 'nginx', '--source', 'https://git.test/a.git')).exitCode, 2)
  assert.equal(api.requests.length, before)
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, test } from 'node:test'
import { run } from './run.ts'

type Answer = (body: unknown) => { status?: number; body?: unknown; events?: string }

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const shop = {
  id: 'a1',
  name: 'shop',
  state: 'running',
  runtime: 'native',
  source: { kind: 'git', url: 'https://git.test/shop.git', branch: 'main' },
  autoDeploy: true,
  watchPaths: [],
  routes: [{ host: 'shop.test', path: '/' }],
  live: { release: 2, deployment: 'd2', commit: 'c'.repeat(40) },
  restartNeeded: false,
  createdAt: '2026-01-01T00:00:00.000Z',
  updatedAt: '2026-01-01T00:00:00.000Z',
}

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

test('apps delete wants to hear yes', async () => {
  const api = await serve({ 'DELETE /api/apps/shop': () => ({ status: 204 }) })
  const unsure = await rivetr(api, 'apps', 'delete', 'shop')
  assert.equal(unsure.exitCode, 2)
  assert.match(unsure.stderr, /--yes/)
  assert.equal(api.requests.length, 0)
  assert.equal((await rivetr(api, 'apps', 'delete', 'shop', '--yes')).exitCode, 0)
})

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

test('env set takes values from the line and from standard input', async () => {
  const api = await serve({
    'PUT /api/apps/shop/env': () => ({ body: { items: [{ name: 'A', secret: true, updatedAt: 'now' }] } }),
  })
  const { stdout } = await rivetr(
    { ...api, stdin: 'two\nlines\n' },
    'env',
    'set',
    'shop',
    'A=-',
    'B=x=y',
    '--secret',
  )
  assert.deepEqual(api.requests.at(-1)?.body, {
    set: { A: { value: 'two\nlines', secret: true }, B: { value: 'x=y', secret: true } },
  })
  assert.match(stdout, /A {5}\(secret\)/)
  const set = { A: { value: 'x', secret: true } }
  await rivetr(api, 'env', 'set', 'shop', 'A=x', '--secret', '--revoke-earlier')
  assert.deepEqual(api.requests.at(-1)?.body, { set, revokeEarlier: true })
  assert.equal((await rivetr(api, 'env', 'set', 'shop', 'novalue')).exitCode, 2)
})

test('logs -f prints lines as they come, with --json one document per line', async () => {
  const events =
    'id: 1\ndata: {"seq":1,"at":"t","from":"r1","text":"one"}\n\nid: 2\ndata: {"seq":2,"at":"t","text":"two"}\n\nevent: end\ndata: {}\n\n'
  const api = await serve({ 'GET /api/apps/shop/logs?tail=5': () => ({ events }) })
  assert.equal((await rivetr(api, 'logs', 'shop', '-f', '-n', '5')).stdout, 't r1 one\nt two\n')
  const { stdout } = await rivetr(api, 'logs', 'shop', '-f', '-n', '5', '--json')
  assert.deepEqual(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).seq),
    [1, 2],
  )
})

test('logs asks for the last hundred lines, or for all since a time', async () => {
  const api = await serve({ 'GET /api/apps/shop/logs': () => ({ body: { items: [] } }) })
  const queryOf = async (...words: string[]) => {
    assert.equal((await rivetr(api, 'logs', 'shop', ...words)).exitCode, 0)
    return Object.fromEntries(new URL(api.requests.at(-1)?.path ?? '', 'http://api').searchParams)
  }
  assert.deepEqual(await queryOf(), { tail: '100' })
  assert.deepEqual(await queryOf('--tail', '7'), { tail: '7' })
  const at = '2027-01-31T11:00:00.000Z'
  assert.deepEqual(await queryOf('--since', '2027-01-31T12:00:00+01:00'), { since: at })
  assert.deepEqual(await queryOf('--since', at, '-n', '7'), { since: at, tail: '7' })
  for (const [words, agoMs] of [
    ['45s', 45_000],
    ['10m', 600_000],
    ['2h', 7_200_000],
    ['3d', 259_200_000],
  ] as const) {
    const askedAtMs = Date.now()
    const { since = '' } = await queryOf('--since', words)
    const early = Date.parse(since) - (askedAtMs - agoMs)
    assert.ok(early >= 0 && early <= Date.now() - askedAtMs, `${words}: ${since}`)
  }
  for (const words of ['yesterday', '10', '5w', '-1m', '99999999999999d'])
    assert.equal((await rivetr(api, 'logs', 'shop', `--since=${words}`)).exitCode, 2, words)
})

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

test('F2: env import shows what a .env file would set, by the grammar of Node, and sets it when told to', async () => {
  const lines: [string, string][] = [
    ['V1="x"', 'x'],
    ["V2='self'", 'self'],
    [`V3="'self'"`, `'self'`],
    ['V4=a"b', 'a"b'],
    [`V5=a'b`, `a'b`],
    ['V6=\\"', '\\"'],
    ['V7=\\\\', '\\\\'],
    ['V8= x ', 'x'],
    ['V9=" x "', ' x '],
    ['V10="\tx\t"', '\tx\t'],
    ['V11={"a":"b\\n"}', '{"a":"b\\n"}'],
    [`V12='{"a":"b\\n"}'`, '{"a":"b\\n"}'],
    ['V13="one\\ntwo"', 'one\ntwo'],
    ['export V14=1', '1'],
    ['V15 = 1', '1'],
    ['V16=1 # a comment', '1'],
    ['V17="1 # none"', '1 # none'],
    ['V18=', ''],
    ['V19="one\ntwo"', 'one\ntwo'],
  ]
  const wanted = Object.fromEntries(lines.map(([, value], at) => [`V${at + 1}`, value]))
  const api = await serve({
    'GET /api/apps/shop/env': () => ({
      body: { items: [{ name: 'V1', secret: false, value: 'x', updatedAt: 'then' }] },
    }),
    'PUT /api/apps/shop/env': () => ({ body: { items: [] } }),
  })
  const folder = await temporaryFolder()
  const text = `# all of it\n${lines.map(([line]) => line).join('\n')}\n`
  for (const [name, content] of Object.entries({
    plain: text,
    mark: `\ufeff${text}`,
    windows: text.replaceAll('\n', '\r\n'),
  })) {
    const file = join(folder, name)
    await writeFile(file, content)
    const shown = JSON.parse((await rivetr(api, 'env', 'import', 'shop', file, '--json')).stdout)
    assert.deepEqual(
      Object.fromEntries(
        shown.changes.map((each: { name: string; value: string }) => [each.name, each.value]),
      ),
      wanted,
      name,
    )
    assert.deepEqual([shown.changes[0].is, shown.changes[1].is], ['the same', 'new'])
  }
  assert.ok(api.requests.every(({ path, body }) => path === '/api/apps/shop/env' && body === undefined))
  const file = join(folder, 'plain')
  assert.doesNotMatch((await rivetr(api, 'env', 'import', 'shop', file, '--secret')).stdout, /self/)
  await rivetr(api, 'env', 'import', 'shop', file, '--secret', '--yes')
  const { set } = (api.requests.at(-1)?.body ?? {}) as { set: Record<string, unknown> }
  assert.deepEqual(set.V12, { value: '{"a":"b\\n"}', secret: true })
  await writeFile(file, new Uint8Array([0x41, 0x3d, 0xff]))
  assert.equal((await rivetr(api, 'env', 'import', 'shop', file)).exitCode, 2)
  await writeFile(file, '# nothing\n')
  assert.equal((await rivetr(api, 'env', 'import', 'shop', file)).exitCode, 2)
})

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

test('lua put keeps a script under the name of its file, and lua run shows what it would have done', async () => {
  const file = join(
    await folderOfFiles({ 'gate.lua': 'return 1', 'push.json': '{"app":{"name":"shop"}}' }),
    'gate.lua',
  )
  const sent: unknown[] = []
  const api = await serve({
    'PUT /api/apps/shop/scripts/gate.lua': (body) => {
      sent.push(body)
      return { body: { name: 'gate.lua', bytes: 8, hooks: ['preDeploy'], enabled: true } }
    },
    'POST /api/scripts/run': (body) => {
      sent.push(body)
      const calls = [{ name: 'http', args: [{ url: 'http://x/' }] }]
      return { body: { result: { verdict: 'wait', reason: 'x' }, lines: ['hello'], calls, taps: 1 } }
    },
    'GET /api/scripts': () => ({
      body: {
        folder: '/data',
        items: [{ name: 'a.lua', bytes: 1, hooks: [], enabled: false, fault: 'a.lua:1: no' }],
      },
    }),
  })
  const put = await rivetr(api, 'lua', 'put', 'shop', file)
  assert.equal(put.stdout, 'shop has gate.lua, which taps preDeploy\n')
  const payload = join(file, '..', 'push.json')
  const ran = await rivetr(api, 'lua', 'run', file, '--hook', 'preDeploy', '--payload', payload)
  assert.equal(
    ran.stdout,
    'hello\nnot done: rivetr.http({"url":"http://x/"})\nreturned {"verdict":"wait","reason":"x"}\n',
  )
  assert.deepEqual(sent, [
    { text: 'return 1', enabled: true },
    { name: 'gate.lua', text: 'return 1', hook: 'preDeploy', args: [{ app: { name: 'shop' } }] },
  ])
  assert.match((await rivetr(api, 'lua', 'list')).stdout, /^a\.lua +a\.lua:1: no$/m)
  const bad = await rivetr(api, 'lua', 'run', file, '--hook', 'preDeploy', '--payload', file)
  assert.deepEqual([bad.exitCode, /--payload .*gate\.lua: /.test(bad.stderr)], [2, true])
  assert.equal((await rivetr(api, 'lua', 'put', 'shop', '/nowhere.lua')).exitCode, 2)
})

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

function deployment(state: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: 'd1',
    app: { id: 'a1', name: 'shop' },
    state,
    release: 3,
    trigger: { kind: 'manual', by: 'me' },
    lastLines: [],
    createdAt: 'then',
    ...more,
  }
}

interface Api {
  readonly env: { RIVETR_DATA_DIR: string }
  readonly url: string
  readonly requests: { path: string; body: unknown; authorization: string | undefined }[]
  close(): void
}

/** An API that knows just these answers, on a socket and a port. A path without query answers for every query. */
async function folderOfFiles(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rivetr-cli-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  return folder
}

async function serve(answers: Record<string, Answer>): Promise<Api> {
  const folder = await temporaryFolder()
  const requests: Api['requests'] = []
  const open = async (where: string | number): Promise<Server> => {
    const server = createServer(async (request, response) => {
      let text = ''
      for await (const chunk of request) text += chunk
      const body = text === '' ? undefined : JSON.parse(text)
      const line = `${request.method} ${request.url}`
      const answer = answers[line] ?? answers[line.replace(/\?.*/, '')]
      if (answer === undefined)
        return void response
          .writeHead(501)
          .end(JSON.stringify({ error: { code: 'unexpected', message: line } }))
      requests.push({ path: request.url ?? '', body, authorization: request.headers.authorization })
      const { status = 200, body: data, events } = answer(body)
      response.writeHead(status, {
        'content-type': events ? 'text/event-stream' : 'application/json',
        connection: 'close',
      })
      response.end(events ?? (data === undefined ? undefined : JSON.stringify(data)))
    })
    server.listen(where as number)
    await once(server, 'listening')
    return server
  }
  const onPort = await open(0)
  const servers = [await open(join(folder, 'api.sock')), onPort]
  const close = () => {
    for (const server of servers) server.close()
  }
  cleanups.push(async () => {
    close()
    for (const server of servers) server.closeAllConnections()
  })
  const { port } = onPort.address() as AddressInfo
  return { env: { RIVETR_DATA_DIR: folder }, url: `http://127.0.0.1:${port}`, requests, close }
}

async function rivetr(
  around: { env: NodeJS.ProcessEnv; stdin?: string },
  ...args: string[]
): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const told = { stdout: '', stderr: '' }
  const exitCode = await run(args, {
    env: around.env,
    stdin: (async function* () {
      yield around.stdin ?? ''
    })(),
    stdout: { write: (text) => (told.stdout += text) },
    stderr: { write: (text) => (told.stderr += text) },
  })
  return { exitCode, ...told }
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rivetr-cli-'))
  cleanups.push(() => rm(folder, { recursive: true }))
  return folder
}

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  Contributions,
  type EdgeTapStats,
  type LogLine,
  lineText,
  RivetrError,
  type Runtime,
  Runtime as RuntimeToken,
  Source,
  Traffic,
} from '@rivetr/sdk'
import { createTestKernel, type TestKernel, type TestKernelOptions, testPlugin } from '@rivetr/testing'

const draft = {
  name: 'shop',
  runtime: 'fake',
  source: { url: 'https://git.test/shop.git' },
  routes: [{ host: 'Shop.test.' }],
}

test('an app is created, read, changed and deleted', async () => {
  await using stage = await boot()
  const created = await stage.ask('POST', '/api/apps', draft)
  assert.equal(created.status, 201)
  assert.deepEqual(created.body.routes, [{ host: 'shop.test', path: '/' }])
  assert.deepEqual(
    (await stage.ask('GET', '/api/apps/shop')).body,
    (await stage.ask('GET', `/api/apps/${created.body.id}`)).body,
  )
  assert.deepEqual((await stage.ask('GET', '/api/apps')).body.items, [
    (await stage.ask('GET', '/api/apps/shop')).body,
  ])
  assert.equal((await stage.ask('PUT', '/api/apps/shop', { port: 3000 })).body.port, 3000)
  assert.equal((await stage.ask('DELETE', '/api/apps/shop')).status, 204)
  assert.equal((await stage.ask('GET', '/api/apps/shop')).status, 404)
})

test('a draft with unknown fields is refused with their paths', async () => {
  await using stage = await boot()
  const { status, body } = await stage.ask('POST', '/api/apps', {
    ...draft,
    name: 'Not a label',
    source: { url: '' },
  })
  assert.equal(status, 400)
  const { issues } = (body.error as { details: { issues: { path: string }[] } }).details
  assert.deepEqual(issues.map(({ path }) => path).sort(), ['name', 'source.url'])
})

test('secrets of an app never come back', async () => {
  await using stage = await boot()
  await stage.ask('POST', '/api/apps', draft)
  const set = { PLAIN: { value: 'seen' }, HIDDEN: { value: 'hunter2-hunter2', secret: true } }
  const changed = await stage.ask('PUT', '/api/apps/shop/env', { set })
  const listed = await stage.ask('GET', '/api/apps/shop/env')
  for (const { status, body } of [changed, listed]) {
    assert.equal(status, 200)
    assert.deepEqual(
      (body.items as { name: string; value?: string }[]).map(({ name, value }) => [name, value]),
      [
        ['HIDDEN', undefined],
        ['PLAIN', 'seen'],
      ],
    )
  }
  const unset = await stage.ask('PUT', '/api/apps/shop/env', { unset: ['HIDDEN', 'PLAIN'] })
  assert.deepEqual(unset.body.items, [])
})

test('only values of secrets can be revoked', async () => {
  await using stage = await boot()
  await stage.ask('POST', '/api/apps', draft)
  const set = { HIDDEN: { value: 'hunter2', secret: true }, PLAIN: { value: 'seen' } }
  const { status, body } = await stage.ask('PUT', '/api/apps/shop/env', { set, revokeEarlier: true })
  assert.equal(status, 400)
  const { issues } = (body.error as { details: { issues: { path: string }[] } }).details
  assert.deepEqual(
    issues.map(({ path }) => path),
    ['set.PLAIN'],
  )
  assert.deepEqual((await stage.ask('GET', '/api/apps/shop/env')).body.items, [])
  const secret = { HIDDEN: set.HIDDEN }
  const taken = await stage.ask('PUT', '/api/apps/shop/env', { set: secret, revokeEarlier: true })
  assert.equal(taken.status, 200)
})

test('routes are replaced as a whole', async () => {
  await using stage = await boot()
  await stage.ask('POST', '/api/apps', draft)
  const replaced = await stage.ask('PUT', '/api/apps/shop/routes', [
    { host: 'a.test' },
    { host: 'b.test', path: '/x' },
  ])
  assert.deepEqual(replaced.body.items, [
    { host: 'a.test', path: '/' },
    { host: 'b.test', path: '/x' },
  ])
  assert.deepEqual((await stage.ask('GET', '/api/apps/shop/routes')).body, replaced.body)
})

test('traffic is paused, let go and put into maintenance, and says so', async () => {
  await using stage = await boot()
  await stage.ask('POST', '/api/apps', draft)
  const paused = await stage.ask('POST', '/api/apps/shop/pause', { limitMs: 30_000 })
  assert.equal(paused.status, 200)
  assert.match(String(paused.body.pausedUntil), /^\d{4}-/)
  assert.deepEqual((await stage.ask('POST', '/api/apps/shop/resume')).body, {})
  const changed = await stage.ask('PUT', '/api/apps/shop/traffic', { maintenance: {} })
  assert.deepEqual(changed.body, { maintenance: { page: null, retryAfterS: 300 } })
  assert.deepEqual((await stage.ask('GET', '/api/apps/shop/traffic')).body, changed.body)
  assert.equal((await stage.ask('POST', '/api/apps/shop/pause', { limitMs: 600_001 })).status, 400)
  assert.equal((await stage.ask('PUT', '/api/apps/shop/traffic', { errorPages: { 418: 'tea' } })).status, 400)
})

test('a deployment that fails says why, in its record and in its log', async () => {
  await using stage = await boot()
  await stage.ask('POST', '/api/apps', draft)
  const queued = await stage.ask('POST', '/api/apps/shop/deploy', { commit: 'a'.repeat(40) })
  assert.equal(queued.status, 202)
  const failed = await stage.settled(String(queued.body.id))
  assert.equal(failed.state, 'failed')
  assert.equal(failed.requestId, queued.requestId)
  assert.match((failed.error as { message: string }).message, /no such commit/)
  const log = await stage.ask('GET', `/api/deployments/${failed.id}/logs`)
  assert.match(JSON.stringify(log.body.items), /no such commit/)
  const events = await stage.ask('GET', `/api/deployments/${failed.id}/logs?after=0`, undefined, {
    accept: 'text/event-stream',
  })
  assert.match(events.text, /event: end\ndata: \{\}\n\n$/)
  const items = log.body.items as LogLine[]
  const file = async (query: string) =>
    (await stage.ask('GET', `/api/deployments/${failed.id}/logs/download${query}`)).text
  assert.equal(await file(''), items.map((line) => `${lineText(line)}\n`).join(''))
  assert.equal(await file('?after=1&until=2'), `${lineText(items[1] as LogLine)}\n`)
  assert.equal(await file('?since=2999-01-01T00:00:00Z'), '')
  assert.equal((await stage.ask('GET', '/api/deployments/none/logs/download')).status, 404)
  assert.equal((await stage.ask('GET', '/api/apps/shop/logs/download')).text, '')
  assert.equal((await stage.ask('GET', '/api/apps/none/logs/download')).status, 404)
  const listed = await stage.ask('GET', '/api/apps/shop/deployments')
  assert.deepEqual(
    (listed.body.items as { id: string }[]).map(({ id }) => id),
    [failed.id],
  )
  assert.equal((await stage.ask('POST', `/api/deployments/${failed.id}/rollback`)).status, 409)
  assert.deepEqual((await stage.ask('GET', '/api/apps/shop/releases')).body, { items: [] })
})

test('a deploy without a body takes the head of the branch', async () => {
  await using stage = await boot()
  await stage.ask('POST', '/api/apps', draft)
  assert.equal((await stage.ask('POST', '/api/apps/shop/deploy')).status, 202)
})

test('what does not exist is not found, for every route of an app or a deployment', async () => {
  await using stage = await boot()
  for (const { route } of stage.kernel.get(Contributions).routes) {
    if (!/^\/api\/(apps|deployments)\/:id/.test(route.path) || route.method === 'PUT') continue
    if (route.socket) continue // says so over its WebSocket alone
    const { status, body } = await stage.ask(route.method, route.path.replace(':id', 'nothing'))
    assert.deepEqual(
      [status, (body.error as { code?: string })?.code],
      [404, 'not_found'],
      `${route.method} ${route.path}`,
    )
  }
})

test('no route but those of signing in is open to strangers, and every one is in the API document', async () => {
  await using stage = await boot()
  const { routes } = stage.kernel.get(Contributions)
  assert.ok(routes.length > 20)
  const open: string[] = []
  for (const { route } of routes) {
    const path = route.path.replaceAll(/:\w+/g, 'x')
    const response = await fetch(`${stage.url}${path}`, { method: route.method })
    await response.body?.cancel()
    if (response.status !== 401 || route.access === 'public') open.push(`${route.method} ${route.path}`)
  }
  assert.deepEqual(open, [
    'GET /api/setup',
    'POST /api/setup',
    'POST /api/auth/login',
    'POST /api/auth/logout',
    'GET /api/auth/me',
  ])
  const { paths } = (await (await fetch(`${stage.url}/api/openapi.json`)).json()) as {
    paths: Record<string, object>
  }
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  )
  const contributed = routes.map(
    ({ route }) => `${route.method.toLowerCase()} ${route.path.replace(/:(\w+)/g, '{$1}')}`,
  )
  assert.deepEqual(described.sort(), contributed.sort())
})

test('the state of plugins and machine is told, and stop reaches the kernel', async () => {
  const stops: string[] = []
  await using stage = await boot((reason) => stops.push(reason))
  const health = await stage.ask('GET', '/api/system/health')
  assert.equal(health.body.healthy, true)
  assert.equal((health.body.plugins as Record<string, string>).api, 'running')
  const { items } = (await stage.ask('GET', '/api/plugins')).body as {
    items: { name: string; taps: { hook: string }[] }[]
  }
  assert.deepEqual(
    items.find(({ name }) => name === 'auth')?.taps.map(({ hook }) => hook),
    ['authenticate', 'authorize'],
  )
  const { plugin: _, tap, ...counts } = inEdges
  assert.deepEqual(items.find(({ name }) => name === 'engine')?.taps, [{ hook: `edge:${tap}`, ...counts }])
  const stats = await stage.ask('GET', '/api/system/stats')
  assert.equal(stats.status, 200)
  assert.equal((await stage.ask('POST', '/api/system/stop')).status, 202)
  assert.equal((await stage.ask('POST', '/api/system/stop', { all: true })).status, 202)
  assert.deepEqual(stops, ['stop', 'stop-all'])
})

interface Answer {
  status: number
  requestId: string | undefined
  text: string
  body: Record<string, unknown>
}

interface Stage extends AsyncDisposable {
  readonly kernel: TestKernel
  readonly url: string
  /** As the owner of the machine, over the unix socket. */
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  settled(deployment: string): Promise<Record<string, unknown>>
}

async function boot(onStop?: TestKernelOptions['onStop']): Promise<Stage> {
  const kernel = await createTestKernel({
    builtIns: ['http', 'auth', 'api'],
    plugins: [engine],
    config: { http: { port: 0 } },
    ...(onStop && { onStop }),
  })
  const socketPath = join(kernel.dataDir, 'api.sock')
  const port = (await readFile(join(kernel.dataDir, 'api.port'), 'utf8')).trim()
  const ask: Stage['ask'] = (method, path, body, more = {}) =>
    new Promise((resolve, reject) => {
      const headers = { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...more }
      const request = httpRequest({ socketPath, method, path, headers }, async (response) => {
        let text = ''
        for await (const chunk of response) text += chunk
        const json = response.headers['content-type']?.startsWith('application/json')
        const requestId = response.headers['x-request-id'] as string | undefined
        resolve({ status: response.statusCode ?? 0, requestId, text, body: json ? JSON.parse(text) : {} })
      })
      request.on('error', reject)
      request.end(body === undefined ? undefined : JSON.stringify(body))
    })
  return {
    kernel,
    ask,
    url: `http://127.0.0.1:${port}`,
    async settled(deployment) {
      const giveUpAt = performance.now() + 10_000
      for (;;) {
        const { body } = await ask('GET', `/api/deployments/${deployment}`)
        if (body.endedAt !== undefined) return body
        assert.ok(performance.now() < giveUpAt, `still ${body.state}`)
        await sleep(20)
      }
    },
    [Symbol.asyncDispose]: () => kernel[Symbol.asyncDispose](),
  }
}

const inEdges: EdgeTapStats = {
  plugin: 'engine',
  tap: 'request',
  calls: 9,
  errors: 5,
  totalMs: 1,
  muted: true,
  error: 'it threw',
}

/** Just enough of a world for apps to exist; no commit can be fetched. */
const engine = testPlugin(
  { name: 'engine', provides: ['runtime:fake', 'source:git', 'traffic'] },
  {
    setup(ctx) {
      ctx.provide(RuntimeToken, 'fake', () => runtime as Runtime)
      ctx.provide(Traffic, () => ({
        apply: async () => undefined,
        hold: async () => undefined,
        release: async () => undefined,
        stats: async () => ({
          edges: 1,
          epoch: 0,
          generation: 0,
          inFlight: {},
          requests: 0,
          taps: [inEdges],
        }),
      }))
      ctx.provide(Source, 'git', () => source as never)
    },
  },
)

const runtime: Partial<Runtime> = {
  accepts: ['folder'],
  capabilities: ['logs'],
  detect: async () => ({ available: true, reason: 'for the test', preference: 1 }),
  list: async () => [],
  remove: async () => undefined,
  async *watch() {},
  async *logs() {},
}

const missing = async () => {
  throw new RivetrError('source_failed', 'no such commit')
}
const source = { resolve: missing, fetch: missing, branches: async () => [], check: async () => undefined }

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
  runtime: 'native',
  source: { kind: 'git', url: 'https://git.test/shop.git', branch: 'main' },
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
    'APP   RUNTIME  LIVE             ROUTES\nshop  native   v2 (cccccccccc)  shop.test\n',
  )
  const machines = await rivetr(api, 'apps', 'list', '--json')
  assert.deepEqual(JSON.parse(machines.stdout), { items: [shop] })
  assert.deepEqual([people.exitCode, machines.exitCode], [0, 0])
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
    source: { url: 'https://git.test/shop.git' },
    port: 3000,
    routes: [
      { host: 'shop.test', path: '/' },
      { host: 'x.test', path: '/api' },
    ],
  })
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
  readonly requests: { body: unknown; authorization: string | undefined }[]
  close(): void
}

/** An API that knows just these answers, on a socket and a port. A path without query answers for every query. */
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
      requests.push({ body, authorization: request.headers.authorization })
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

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { defineRoute, Reply, RivetrError, z } from '@rivetr/sdk'
import { cleanups, codeOf, get, line, lines, open, overSocket, post, temporaryFolder } from './test-server.ts'

test('a route answers with exactly what it declares, under the id of the request', async () => {
  const stage = await open([
    defineRoute({
      method: 'GET',
      path: '/api/things/:id',
      summary: 'One',
      access: 'public',
      params: z.object({ id: z.string() }),
      returns: z.object({ id: z.string() }),
      handler: async ({ params }) => ({ id: params.id, hash: 'secret' }),
    }),
  ])
  const response = await fetch(`${stage.url}/api/things/a%20b`, {
    headers: { 'x-request-id': 'from-the-client' },
  })
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('x-request-id'), 'from-the-client')
  assert.equal(response.headers.get('content-type'), 'application/json; charset=utf-8')
  assert.deepEqual(await response.json(), { id: 'a b' })
  const odd = await fetch(`${stage.url}/api/things/a`, { headers: { 'x-request-id': 'no spaces, please' } })
  assert.match(odd.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/)
})

test('an answer of another shape is an internal error that only the log explains', async () => {
  const stage = await open([get('/api/things', async () => ({ id: 7 }) as never)])
  const response = await fetch(`${stage.url}/api/things`)
  assert.equal(response.status, 500)
  const { error } = (await response.json()) as { error: { code: string; message: string; requestId: string } }
  assert.equal(error.code, 'internal')
  assert.doesNotMatch(error.message, /declares|expected/)
  assert.equal(
    stage.logged.filter(({ fields }) => fields.requestId === error.requestId && fields.error !== undefined)
      .length,
    1,
  )
})

test('an unknown error shows nothing of its inside', async () => {
  const stage = await open([
    get('/api/things', async () => {
      throw new Error('password=hunter2')
    }),
  ])
  const response = await fetch(`${stage.url}/api/things`)
  assert.equal(response.status, 500)
  assert.doesNotMatch(await response.text(), /hunter2/)
})

test('our own error keeps its code, status, message and details', async () => {
  const stage = await open([
    get('/api/things', async () => {
      throw new RivetrError('conflict', 'the thing is busy', { details: { state: 'busy' } })
    }),
  ])
  const response = await fetch(`${stage.url}/api/things`)
  assert.equal(response.status, 409)
  const { error } = (await response.json()) as { error: Record<string, unknown> }
  assert.deepEqual(
    { ...error, requestId: '' },
    { code: 'conflict', message: 'the thing is busy', details: { state: 'busy' }, requestId: '' },
  )
})

test('unknown paths, methods and bodies without a route get JSON errors', async () => {
  const stage = await open([get('/api/things', async () => ({ id: 'a' }))])
  const missing = await fetch(`${stage.url}/api/nothing`)
  assert.equal(missing.status, 404)
  assert.equal(await codeOf(missing), 'not_found')
  const wrong = await fetch(`${stage.url}/api/things`, { method: 'DELETE' })
  assert.equal(wrong.status, 405)
  assert.match(wrong.headers.get('allow') ?? '', /GET/)
  assert.equal(await codeOf(wrong), 'method_not_allowed')
})

test('a change of the contributed routes is seen by the next request', async () => {
  const stage = await open([])
  assert.equal((await fetch(`${stage.url}/api/things`)).status, 404)
  stage.routes = [get('/api/things', async () => ({ id: 'a' }))]
  stage.changed()
  assert.equal((await fetch(`${stage.url}/api/things`)).status, 200)
  assert.ok(
    '/api/things' in
      ((await (await fetch(`${stage.url}/api/openapi.json`)).json()) as { paths: object }).paths,
  )
})

test('/health answers OK', async () => {
  const stage = await open([])
  const response = await fetch(`${stage.url}/health`)
  assert.equal(response.status, 200)
  assert.equal(await response.text(), 'OK')
})

test('a reply sets status, headers and a cookie that scripts cannot read; over TLS it is bound to the host', async () => {
  const route = defineRoute({
    method: 'POST',
    path: '/api/login',
    summary: 'In',
    access: 'public',
    returns: z.object({ had: z.string().optional() }),
    handler: async ({ cookies }) =>
      new Reply(
        { had: cookies.s },
        { status: 202, headers: { 'x-more': '1' }, cookie: { name: 's', value: 'v', maxAgeMs: 1000 } },
      ),
  })
  const stage = await open([route], { trustProxy: true })
  const login = (headers: Record<string, string>) =>
    fetch(`${stage.url}/api/login`, { method: 'POST', headers: { 'sec-fetch-site': 'none', ...headers } })
  const plain = await login({ cookie: 's=old; __Host-s=other' })
  assert.equal(plain.status, 202)
  assert.equal(plain.headers.get('x-more'), '1')
  assert.deepEqual(await plain.json(), { had: 'old' })
  assert.match(plain.headers.get('set-cookie') ?? '', /^s=v; path=\/; expires=.*; samesite=lax; httponly$/)
  const secure = await login({ 'x-forwarded-proto': 'https', cookie: 's=planted; __Host-s=own' })
  assert.deepEqual(await secure.json(), { had: 'own' })
  assert.match(secure.headers.get('set-cookie') ?? '', /^__Host-s=v; path=\/; .*secure; httponly$/)
})

test('stop ends streams at once and lets a running request come to its end', async () => {
  let proceed: () => void = () => undefined
  let begun: () => void = () => undefined
  const running = new Promise<void>((resolve) => {
    begun = resolve
  })
  const stage = await open([
    lines(async function* ({ signal }) {
      yield line(1)
      await once(signal, 'abort')
    }),
    get('/api/slow', async () => {
      begun()
      await new Promise<void>((resolve) => {
        proceed = resolve
      })
      return { id: 'slow' }
    }),
  ])
  const stream = await fetch(`${stage.url}/api/lines`, { headers: { accept: 'text/event-stream' } })
  const slow = fetch(`${stage.url}/api/slow`)
  await running
  const stopped = stage.stop()
  assert.doesNotMatch(await stream.text(), /event: end/)
  proceed()
  assert.equal((await slow).status, 200)
  await stopped
  await assert.rejects(fetch(`${stage.url}/health`))
  await assert.rejects(stat(stage.socket), { code: 'ENOENT' })
})

test('the port that was taken stands in api.port', async () => {
  const stage = await open([])
  assert.equal(await readFile(join(stage.dataDir, 'api.port'), 'utf8'), `${stage.port}\n`)
})

test('a port in use is named with what to do', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  cleanups.push(async () => other.close())
  const { port } = other.address() as { port: number }
  await assert.rejects(open([], { port }), (error: RivetrError) => {
    assert.equal(error.code, 'address_in_use')
    assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}.*rivetr\\.toml`))
    return true
  })
})

test('a socket that nobody answers on is replaced, one in use and other files are not', async () => {
  const dataDir = await temporaryFolder()
  const stage = await open([], { dataDir })
  await assert.rejects(open([], { dataDir }), { code: 'unavailable' })
  assert.equal((await overSocket(stage.socket, '/health')).body, 'OK')
  await stage.stop()
  const stale = createServer().listen(stage.socket)
  await once(stale, 'listening')
  const { promise, resolve } = Promise.withResolvers<void>()
  // Closing the descriptor alone leaves the file, as a crash does.
  ;(stale as unknown as { _handle: { close(done: () => void): void } })._handle.close(resolve)
  await promise
  const next = await open([], { dataDir })
  assert.equal((await overSocket(next.socket, '/health')).body, 'OK')
  await next.stop()
  await writeFile(stage.socket, 'precious')
  await assert.rejects(open([], { dataDir }), { code: 'data_unusable' })
  assert.equal(await readFile(stage.socket, 'utf8'), 'precious')
})

test('a socket path that the system cannot take is refused with its limit', async () => {
  const dataDir = join(await temporaryFolder(), 'x'.repeat(100))
  await assert.rejects(open([], { dataDir }), /at most 107 bytes/)
})

test('the API document describes every route with its access and the shape of errors', async () => {
  const stage = await open([
    post('/api/things'),
    lines(async function* () {}),
    get('/api/things', async () => ({ id: '' })),
  ])
  const document = (await (await fetch(`${stage.url}/api/openapi.json`)).json()) as {
    openapi: string
    paths: Record<
      string,
      Record<string, { security?: unknown[]; responses: Record<string, unknown>; operationId: string }>
    >
    components: { securitySchemes: object; schemas: object }
  }
  assert.equal(document.openapi, '3.1.0')
  assert.deepEqual(Object.keys(document.components.securitySchemes), ['session', 'key'])
  assert.ok('Error' in document.components.schemas)
  assert.equal(document.paths['/api/things']?.post?.security, undefined)
  assert.deepEqual(document.paths['/api/things']?.get?.security, [])
  assert.equal(document.paths['/api/things']?.post?.operationId, 'postApiThings')
  assert.deepEqual(Object.keys(document.paths['/api/things']?.post?.responses ?? {}), ['201', 'default'])
})

test('what is no HTTP gets no further than the parser', async () => {
  const stage = await open([])
  const socket = connect(stage.port, '127.0.0.1')
  socket.end('nonsense\r\n\r\n')
  const [answer] = (await once(socket, 'data')) as [Buffer]
  assert.match(answer.toString(), /^HTTP\/1\.1 400/)
})

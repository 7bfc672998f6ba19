import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import {
  type ActionAudited,
  type AnyRoute,
  type Clock,
  defineRoute,
  type Hooks,
  type Logger,
  type LogLine,
  type Principal,
  Reply,
  RivetrError,
  z,
} from '@rivetr/sdk'
import { RestRouter } from './rest-router.ts'
import { HttpServer } from './server.ts'

const ada: Principal = {
  kind: 'user',
  id: 'u1',
  name: 'ada@example.com',
  scopes: ['things:read', 'things:write'],
}

/** A server over hand-made routes, and what it told. */
interface Stage {
  readonly url: string
  readonly port: number
  readonly socket: string
  readonly dataDir: string
  readonly audits: ActionAudited[]
  readonly logged: { level: string; message: string; fields: Record<string, unknown> }[]
  /** What `authorize` says for principals whose scopes suffice. */
  verdict: 'allow' | 'deny' | undefined
  routes: AnyRoute[]
  changed(): void
  stop(): Promise<void>
}

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

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

test('strangers are told nothing but that they must sign in', async () => {
  const stage = await open([post('/api/things')])
  const response = await fetch(`${stage.url}/api/things`, json({ nonsense: true }))
  assert.equal(response.status, 401)
  assert.equal(response.headers.get('www-authenticate'), 'Bearer')
  assert.doesNotMatch(await response.text(), /nonsense|name/)
  assert.equal(stage.audits.at(-1)?.outcome, 'denied')
})

test('a principal needs both the scope and the word of authorize', async () => {
  const stage = await open([post('/api/things'), { ...post('/api/others'), access: 'others:write' }])
  assert.equal((await fetch(`${stage.url}/api/others`, json({ name: 'a' }, 'ada'))).status, 403)
  assert.equal((await fetch(`${stage.url}/api/things`, json({ name: 'a' }, 'ada'))).status, 201)
  for (const verdict of ['deny', undefined] as const) {
    stage.verdict = verdict
    assert.equal((await fetch(`${stage.url}/api/things`, json({ name: 'a' }, 'ada'))).status, 403)
  }
})

test('whoever comes through the unix socket is the system', async () => {
  const stage = await open([
    defineRoute({
      method: 'GET',
      path: '/api/me',
      summary: 'Me',
      access: 'others:read',
      returns: z.object({ name: z.string() }),
      handler: async ({ principal }) => ({ name: principal.name }),
    }),
  ])
  assert.deepEqual(JSON.parse((await overSocket(stage.socket, '/api/me')).body), { name: 'system:local' })
  assert.equal((await stat(stage.socket)).mode & 0o777, 0o600)
  assert.equal((await fetch(`${stage.url}/api/me`)).status, 401)
})

test('every change is audited with its outcome, reads are not', async () => {
  const stage = await open([post('/api/things'), get('/api/things', async () => ({ id: 'a' }))])
  await fetch(`${stage.url}/api/things`)
  await fetch(`${stage.url}/api/things`, json({ name: 'a' }, 'ada'))
  await fetch(`${stage.url}/api/things`, json({ name: '' }, 'ada'))
  await fetch(`${stage.url}/api/things`, json({ name: 'a' }))
  assert.deepEqual(
    stage.audits.map(({ action, outcome, principal }) => [action, outcome, principal.name]),
    [
      ['things:write', 'done', 'ada@example.com'],
      ['things:write', 'failed', 'ada@example.com'],
      ['things:write', 'denied', 'anonymous'],
    ],
  )
})

test('input of the wrong shape is refused with every fault and its path', async () => {
  const stage = await open([post('/api/things')])
  const response = await fetch(
    `${stage.url}/api/things?limit=x`,
    json({ name: '', size: 'big', more: 1 }, 'ada'),
  )
  assert.equal(response.status, 400)
  const { error } = (await response.json()) as {
    error: { code: string; details: { issues: { path: string }[] } }
  }
  assert.equal(error.code, 'invalid_input')
  assert.deepEqual(error.details.issues.map(({ path }) => path).sort(), ['', 'limit', 'name', 'size'])
})

test('a body must be JSON, uncompressed and not too large', async () => {
  const stage = await open([post('/api/things')])
  const send = async (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) => {
    const init = {
      method: 'POST',
      body,
      headers: { 'x-user': 'ada', 'content-type': 'application/json', ...headers },
    }
    const response = await fetch(`${stage.url}/api/things`, init)
    return [response.status, await codeOf(response)]
  }
  assert.deepEqual(await send('{'), [400, 'invalid_input'])
  assert.deepEqual(await send(new Uint8Array([0x22, 0xff, 0x22])), [400, 'invalid_input'])
  assert.deepEqual(await send('name=a', { 'content-type': 'application/x-www-form-urlencoded' }), [
    415,
    'unsupported_media_type',
  ])
  assert.deepEqual(await send('{}', { 'content-encoding': 'gzip' }), [415, 'unsupported_media_type'])
  assert.deepEqual(await send(JSON.stringify({ name: 'a'.repeat(5000) })), [413, 'too_large'])
  assert.deepEqual(await send(''), [400, 'invalid_input'])
})

test('a raw body arrives byte for byte, and repeated headers as a list', async () => {
  const bytes = new Uint8Array([0, 255, 10, 123])
  let seen: { raw: Uint8Array; header: unknown } | undefined
  const stage = await open([
    defineRoute({
      method: 'POST',
      path: '/webhooks/x',
      summary: 'Raw',
      access: 'public',
      rawBody: { limitBytes: 10 },
      returns: z.object({}),
      async handler({ rawBody, headers }) {
        seen = { raw: rawBody, header: headers['x-twice'] }
        return {}
      },
    }),
  ])
  const request = httpRequest(`${stage.url}/webhooks/x`, {
    method: 'POST',
    headers: { 'x-twice': ['1', '2'] },
  })
  request.end(bytes)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.resume()
  assert.equal(response.statusCode, 200)
  assert.deepEqual([...(seen?.raw ?? [])], [...bytes])
  assert.deepEqual(seen?.header, ['1', '2'])
  const large = await fetch(`${stage.url}/webhooks/x`, { method: 'POST', body: 'x'.repeat(11) })
  assert.equal(large.status, 413)
})

test('a body that is a stream arrives as it comes, and ends where it passes the limit', async () => {
  let seen: Uint8Array[] = []
  const stage = await open([
    defineRoute({
      method: 'POST',
      path: '/api/things',
      summary: 'Streamed',
      access: 'public',
      bodyStream: { limitBytes: 10 },
      returns: z.object({ bytes: z.int() }),
      async handler({ bodyStream, rawBody }) {
        seen = []
        for await (const chunk of bodyStream) seen.push(chunk)
        return { bytes: Buffer.concat(seen).length + rawBody.length }
      },
    }),
  ])
  const send = async (chunks: readonly string[], headers: Record<string, string> = {}) => {
    const request = httpRequest(`${stage.url}/api/things`, { method: 'POST', headers })
    request.on('error', () => undefined) // the server need not read what it refuses
    for (const chunk of chunks) request.write(chunk)
    request.end()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    response.resume()
    return response.statusCode
  }
  assert.equal(await send(['\u00ff0', '1234567']), 200)
  assert.equal(Buffer.concat(seen).toString(), '\u00ff01234567')
  assert.equal(await send([]), 200)
  assert.equal(await send(['12345678901']), 413)
  assert.equal(await send(['x'], { 'content-length': '1', 'content-encoding': 'gzip' }), 415)
  assert.equal(await send(['12345678901'], { 'content-length': '11' }), 413)
  assert.deepEqual(seen, [], 'of the last not a byte was read')
})

test('who is refused while it still sends gets its answer, not a reset', async () => {
  const stage = await open([
    post('/api/things'),
    defineRoute({
      method: 'POST',
      path: '/api/archives',
      summary: 'Streamed',
      access: 'public',
      bodyStream: { limitBytes: 10 },
      returns: z.object({}),
      async handler({ bodyStream }) {
        for await (const _ of bodyStream);
        return {}
      },
    }),
  ])
  const length = 30_000_000
  const statusOf = async (path: string, framing: string) => {
    const socket = connect(stage.port, '127.0.0.1')
    socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${framing}\r\n\r\n`)
    // Looks for an answer only when it has sent all, as many clients do.
    await new Promise<void>((resolve, reject) => {
      socket.on('error', reject)
      socket.write(Buffer.alloc(length, ' '), () => resolve())
    })
    const [answer] = (await once(socket, 'data')) as [Buffer]
    socket.destroy()
    return Number(/^HTTP\/1\.1 (\d+)/.exec(answer.toString())?.[1])
  }
  const counted = `Content-Length: ${length}\r\n\r\n`
  const oneChunk = `Transfer-Encoding: chunked\r\n\r\n${length.toString(16)}\r\n`
  for (const [path, status] of [
    ['/api/archives', 413],
    ['/api/things', 401],
    ['/api/nowhere', 404],
  ] as const) {
    assert.equal(await statusOf(path, counted), status, path)
    assert.equal(await statusOf(path, oneChunk), status, path)
  }
})

test('another site cannot make a browser change anything', async () => {
  const stage = await open([post('/api/things')])
  const send = async (headers: Record<string, string>) => {
    const init = json({ name: 'a' }, 'ada')
    return (await fetch(`${stage.url}/api/things`, { ...init, headers: { ...init.headers, ...headers } }))
      .status
  }
  assert.equal(await send({ cookie: 'rivetr_session=x' }), 403)
  assert.equal(await send({ cookie: 'rivetr_session=x', origin: 'https://evil.example' }), 403)
  assert.equal(await send({ cookie: 'rivetr_session=x', origin: 'null' }), 403)
  assert.equal(
    await send({ cookie: 'rivetr_session=x', origin: stage.url, 'sec-fetch-site': 'cross-site' }),
    403,
  )
  assert.equal(await send({ origin: 'https://evil.example' }), 403)
  assert.equal(await send({ cookie: 'rivetr_session=x', origin: stage.url }), 201)
  assert.equal(await send({ cookie: 'rivetr_session=x', 'sec-fetch-site': 'same-origin' }), 201)
  assert.equal(await send({}), 201)
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

test('a stream answers with its items, or with events that carry their sequence numbers', async () => {
  const stage = await open([
    lines(async function* () {
      yield line(1)
      yield line(2)
    }),
  ])
  assert.deepEqual(await (await fetch(`${stage.url}/api/lines`)).json(), {
    items: [
      { seq: 1, text: 'line 1' },
      { seq: 2, text: 'line 2' },
    ],
  })
  const response = await fetch(`${stage.url}/api/lines`, { headers: { accept: 'text/event-stream' } })
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  assert.equal(
    await response.text(),
    ': open\n\nid: 1\ndata: {"seq":1,"text":"line 1"}\n\nid: 2\ndata: {"seq":2,"text":"line 2"}\n\nevent: end\ndata: {}\n\n',
  )
})

test('a client that connects again goes on after the last event it saw', async () => {
  const stage = await open([
    lines(async function* ({ after }) {
      yield line((after ?? 0) + 1)
    }),
  ])
  const headers = { accept: 'text/event-stream', 'last-event-id': '41' }
  assert.match(await (await fetch(`${stage.url}/api/lines?after=7`, { headers })).text(), /id: 42/)
})

test('a stream that fails at once has a status, one that fails later an error event', async () => {
  const failure = new RivetrError('not_found', 'no such log')
  const stage = await open([
    lines(async function* ({ after }) {
      if (after === 1) yield line(1)
      throw failure
    }),
  ])
  const headers = { accept: 'text/event-stream' }
  assert.equal((await fetch(`${stage.url}/api/lines`, { headers })).status, 404)
  assert.match(
    await (await fetch(`${stage.url}/api/lines?after=1`, { headers })).text(),
    /event: error\ndata: \{"error":\{"code":"not_found"/,
  )
})

test('a client that leaves a stream ends it, and nothing is said about that', async () => {
  let ended: () => void = () => undefined
  const over = new Promise<void>((resolve) => {
    ended = resolve
  })
  const stage = await open([
    lines(async function* ({ signal }) {
      try {
        yield line(1)
        await once(signal, 'abort')
      } finally {
        ended()
      }
    }),
  ])
  const controller = new AbortController()
  const response = await fetch(`${stage.url}/api/lines`, {
    headers: { accept: 'text/event-stream' },
    signal: controller.signal,
  })
  await response.body?.getReader().read()
  controller.abort()
  await over
  await stage.stop()
  assert.deepEqual(
    stage.logged.filter(({ level }) => level === 'warn' || level === 'error'),
    [],
  )
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

function get(path: string, handler: () => Promise<{ id: string }>): AnyRoute {
  return defineRoute({
    method: 'GET',
    path,
    summary: 'Get',
    access: 'public',
    returns: z.object({ id: z.string() }),
    handler,
  })
}

function post(path: string): AnyRoute {
  return defineRoute({
    method: 'POST',
    path,
    summary: 'Make',
    access: 'things:write',
    query: z.object({ limit: z.coerce.number().optional() }),
    body: z.strictObject({ name: z.string().min(1), size: z.int().default(1) }),
    returns: z.object({ name: z.string() }),
    status: 201,
    handler: async ({ body }) => ({ name: body.name }),
  })
}

type Line = Pick<LogLine, 'seq' | 'text'>

function line(seq: number): Line {
  return { seq, text: `line ${seq}` }
}

function lines(
  produce: (request: { after: number | undefined; signal: AbortSignal }) => AsyncIterable<Line>,
): AnyRoute {
  return defineRoute({
    method: 'GET',
    path: '/api/lines',
    summary: 'Lines',
    access: 'public',
    query: z.object({ after: z.coerce.number().optional() }),
    returns: z.object({ seq: z.int(), text: z.string() }),
    stream: true,
    handler: ({ query, signal }) => produce({ after: query.after, signal }),
  })
}

function json(
  body: unknown,
  user?: string,
): { method: 'POST'; body: string; headers: Record<string, string> } {
  const headers = { 'content-type': 'application/json', ...(user === undefined ? {} : { 'x-user': user }) }
  return { method: 'POST', body: JSON.stringify(body), headers }
}

async function codeOf(response: Response): Promise<string> {
  return ((await response.json()) as { error: { code: string } }).error.code
}

async function overSocket(socketPath: string, path: string): Promise<{ status: number; body: string }> {
  const request = httpRequest({ socketPath, path }).end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  let body = ''
  for await (const chunk of response) body += chunk
  return { status: response.statusCode ?? 0, body }
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rivetr-http-'))
  cleanups.push(() => rm(folder, { recursive: true }))
  return folder
}

async function open(
  routes: AnyRoute[],
  options: { port?: number; trustProxy?: boolean; dataDir?: string } = {},
): Promise<Stage> {
  const dataDir = options.dataDir ?? (await temporaryFolder())
  const audits: ActionAudited[] = []
  const logged: Stage['logged'] = []
  const log = recorder(logged)
  const hooks = {
    async call(hook: string, payload: { headers: Record<string, string> }) {
      if (hook === 'authenticate') return payload.headers['x-user'] === 'ada' ? ada : undefined
      return stage.verdict
    },
    notify: (_hook: string, payload: ActionAudited) => void audits.push(payload),
  } as unknown as Hooks
  const stopping = new AbortController()
  const stage: Stage = {
    url: '',
    port: 0,
    socket: '',
    dataDir,
    audits,
    logged,
    routes,
    verdict: 'allow',
    changed: () => router.rebuild(),
    async stop() {
      stopping.abort()
      await server.stop()
    },
  }
  const contributions = {
    get routes() {
      return stage.routes.map((route) => ({ plugin: 'test', route }))
    },
    pages: [],
    widgets: [],
    edges: [],
    onChange: () => () => undefined,
  }
  const router = new RestRouter({
    contributions,
    hooks,
    clock,
    log,
    version: '0.0.0',
    maxBodyBytes: 4096,
    stopping: stopping.signal,
  })
  const server = new HttpServer(router, {
    address: '127.0.0.1',
    port: options.port ?? 0,
    trustProxy: options.trustProxy ?? false,
    dataDir,
    log,
  })
  cleanups.push(() => stage.stop())
  const { port, socket } = await server.start()
  return Object.assign(stage, { port, socket, url: `http://127.0.0.1:${port}` })
}

const clock: Clock = {
  now: () => Date.now(),
  sleep: async () => undefined,
  after(ms, run) {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}

function recorder(logged: Stage['logged']): Logger {
  const at =
    (level: string) =>
    (message: string, fields: Record<string, unknown> = {}) =>
      void logged.push({ level, message, fields })
  const log: Logger = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => log,
  }
  return log
}

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { type ActionAudited, defineRoute, type Principal, z } from '@rivetr/sdk'
import { createTestKernel, eventually, TestClock, testPlugin } from '@rivetr/testing'
import { type ClientOptions, WebSocket } from 'ws'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A kernel with a log, a socket that says everything twice, and one user who is known by a cookie or a key. */
async function open() {
  const clock = new TestClock()
  const audits: ActionAudited[] = []
  const state = {
    scopes: ['things:read', 'things:exec'],
    known: true,
    signal: undefined as AbortSignal | undefined,
    ended: 0,
  }
  const things = testPlugin(
    { name: 'things', routes: ['/api/things'] },
    {
      setup(ctx) {
        ctx.tap('authenticate', ({ headers, cookies }): Principal | undefined => {
          const isAda = cookies.session === 'ada' || headers.authorization === 'Bearer ada'
          return isAda && state.known
            ? { kind: 'user', id: 'u1', name: 'ada', scopes: state.scopes }
            : undefined
        })
        ctx.tap('authorize', () => 'allow')
        ctx.tap('actionAudited', (audit) => void audits.push(audit))
        ctx.route(
          defineRoute({
            method: 'GET',
            path: '/api/things/log',
            summary: 'Numbers after one, then nothing until the client goes',
            access: 'things:read',
            query: z.object({ after: z.coerce.number().default(0), to: z.coerce.number().default(3) }),
            returns: z.object({ seq: z.int() }),
            stream: true,
            async *handler({ query: { after, to }, follow, signal }) {
              state.signal = signal
              if (to === 0) throw new Error('the log is broken')
              try {
                for (let seq = after + 1; seq <= to; seq += 1) yield { seq, hidden: 'never sent' }
                if (follow && to === 3) await once(signal, 'abort').catch(() => undefined)
              } finally {
                state.ended += 1
              }
            },
          }),
        )
        ctx.route(
          defineRoute({
            method: 'GET',
            path: '/api/things/echo',
            summary: 'Says everything twice',
            access: 'things:exec',
            returns: z.void(),
            socket: true,
            async handler({ signal }, socket) {
              state.signal = signal
              for await (const message of socket.incoming) {
                if (message === 'bye') return
                if (message === 'fail') throw new Error('hunter2')
                await socket.send(message)
                await socket.send(message)
              }
            },
          }),
        )
      },
    },
  )
  const kernel = await createTestKernel({
    builtIns: ['http'],
    plugins: [things],
    clock,
    config: { http: { port: 0 } },
  })
  cleanups.push(() => kernel.stop())
  const port = Number(await readFile(join(kernel.dataDir, 'api.port'), 'utf8'))
  const connect = async (path: string, options: ClientOptions = key) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/api/things/${path}`, options)
    socket.on('error', () => {}) // one that is refused, or closed while it is opened
    cleanups.push(async () => socket.terminate())
    const messages: (string | Buffer)[] = []
    socket.on('message', (data: Buffer, isBinary) => messages.push(isBinary ? data : data.toString()))
    const closed = new Promise<[number, string]>((resolve) =>
      socket.once('close', (code, reason) => resolve([code, reason.toString()])),
    )
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('unexpected-response', (_, { statusCode }) => reject(new Error(`status ${statusCode}`)))
    })
    return { socket, messages, closed }
  }
  return { clock, audits, state, port, kernel, connect }
}

const key: ClientOptions = { headers: { authorization: 'Bearer ada' } }
const page = (origin: string | undefined, more: Record<string, string> = {}): ClientOptions => ({
  headers: { cookie: 'session=ada', ...(origin === undefined ? {} : { origin }), ...more },
})

test('a handshake that fails leaves nothing behind: its stream is ended, and nobody asks for it again', async () => {
  const { port, state } = await open()
  const headers = {
    ...key.headers,
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'too short',
  }
  const asked = httpRequest({ port, path: '/api/things/log', headers, agent: false }).end()
  const [response] = (await once(asked, 'response')) as [{ statusCode: number; resume(): void }]
  response.resume()
  assert.equal(response.statusCode, 400)
  await eventually('its end', () => (state.ended === 1 && state.signal?.aborted === true) || undefined)
})

test('I12: only a page of this very host opens a WebSocket with a cookie', async () => {
  const { connect, port, audits } = await open()
  const own = `http://127.0.0.1:${port}`
  for (const options of [
    page('https://evil.example.test'),
    page('null'),
    page(`${own}.evil.example.test`),
    page(`http://127.0.0.1:${port + 1}`),
    page(`http://shop.127.0.0.1:${port}`),
    page(`ftp://127.0.0.1:${port}`),
    page(undefined),
    page(own, { 'sec-fetch-site': 'same-site' }),
    page(own, { 'sec-fetch-site': 'cross-site' }),
    page(undefined, { 'sec-fetch-site': 'none' }),
    { headers: { ...key.headers, origin: 'https://evil.example.test' } },
  ])
    for (const path of ['log', 'echo']) await assert.rejects(connect(path, options), /status 403/)
  for (const path of ['log', 'echo', 'echo?token=ada', 'log?authorization=Bearer%20ada'])
    await assert.rejects(connect(path, {}), /status 401/)
  assert.ok(audits.length > 0 && audits.every(({ outcome }) => outcome === 'denied'))
  await connect('log', page(own))
  await connect('echo', page(own, { 'sec-fetch-site': 'same-origin' }))
  await connect('echo')
})

test('a stream comes over a WebSocket as it does as events: only what is declared, after the number that is named', async () => {
  const { connect } = await open()
  const whole = await connect('log?to=500&after=498')
  assert.deepEqual(await whole.closed, [1000, 'end'])
  const items = whole.messages.flatMap((message) => String(message).split('\n'))
  assert.deepEqual(items, ['{"seq":499}', '{"seq":500}'])
  const many = await connect('log?to=20000')
  await many.closed
  const numbers = many.messages
    .flatMap((message) => String(message).split('\n'))
    .map((text) => JSON.parse(text).seq)
  assert.deepEqual(
    numbers,
    Array.from({ length: 20_000 }, (_, at) => at + 1),
  )
  assert.ok(many.messages.length < 2_000, `${many.messages.length} messages`)
})

test('what fails at once has a status; input that is not right, too', async () => {
  const { connect } = await open()
  await assert.rejects(connect('log?to=0'), /status 500/)
  await assert.rejects(connect('log?to=many'), /status 400/)
  await assert.rejects(connect('nothing'), /status 404/)
})

test('a route takes a socket over: text, bytes, its end, and an error without its inside', async () => {
  const { connect, audits } = await open()
  const { socket, messages, closed } = await connect('echo')
  assert.deepEqual(
    audits.map(({ action, outcome }) => [action, outcome]),
    [['things:exec', 'done']],
  )
  socket.send('hello')
  socket.send(Buffer.from([0, 255]))
  socket.send('bye')
  assert.deepEqual(await closed, [1000, 'end'])
  assert.deepEqual(messages, ['hello', 'hello', Buffer.from([0, 255]), Buffer.from([0, 255])])
  const failing = await connect('echo')
  failing.socket.send('fail')
  assert.deepEqual(await failing.closed, [1011, 'it failed'])
  assert.match(String(failing.messages[0]), /^\{"error":\{"code":"internal"/)
  assert.doesNotMatch(String(failing.messages[0]), /hunter2/)
})

test('a message that is too long ends the connection; a request without an upgrade is told what it takes', async () => {
  const { connect, port } = await open()
  const { socket, closed } = await connect('echo')
  socket.send('x'.repeat(64 * 1024 + 1))
  assert.equal((await closed)[0], 1009)
  const headers = { authorization: 'Bearer ada' }
  const plain = await fetch(`http://127.0.0.1:${port}/api/things/echo`, { headers })
  assert.equal(plain.status, 400)
  assert.match(await plain.text(), /takes a WebSocket/)
  // Another protocol than a WebSocket may be asked for: it is not taken up (RFC 9110 §7.8).
  const upgrade = httpRequest({
    port,
    path: '/api/things/log',
    headers: { ...headers, connection: 'upgrade', upgrade: 'h2c' },
  }).end()
  const [response] = await once(upgrade, 'response')
  assert.equal(response.statusCode, 200)
  response.resume()
})

for (const [what, change, reason] of [
  ['a scope is taken away', (state) => (state.scopes = []), 'forbidden'],
  ['the key is revoked', (state) => (state.known = false), 'unauthenticated'],
] as readonly [string, (state: { scopes: string[]; known: boolean }) => unknown, string][])
  test(`I14: what is open is closed within seconds when ${what}`, async () => {
    const { connect, clock, state, port } = await open()
    const log = await connect('log')
    const echo = await connect('echo')
    const aborted = state.signal
    const events = await fetch(`http://127.0.0.1:${port}/api/things/log`, {
      headers: { authorization: 'Bearer ada', accept: 'text/event-stream' },
    })
    await clock.advance(10_000)
    assert.equal(echo.socket.readyState, WebSocket.OPEN)
    change(state)
    const ended = Promise.all([log.closed, echo.closed, events.text()])
    let over = false
    void ended.then(() => (over = true))
    while (!over) await clock.advance(1_000)
    const [logEnd, echoEnd, text] = await ended
    assert.deepEqual(
      [logEnd, echoEnd],
      [
        [1008, reason],
        [1008, reason],
      ],
    )
    assert.doesNotMatch(text, /event: end/)
    assert.equal(aborted?.aborted, true)
  })

test('a client that goes, and one that only seems to be there, end what was open for them', async () => {
  const { connect, clock, state } = await open()
  const first = await connect('echo')
  const gone = once(state.signal as AbortSignal, 'abort')
  first.socket.terminate()
  await gone
  const silent = await connect('echo', { ...key, autoPong: false })
  const dead = once(state.signal as AbortSignal, 'abort')
  let over = false
  void dead.then(() => (over = true))
  while (!over) await clock.advance(5_000)
  await silent.closed
})

test('Rivetr stops although somebody listens', async () => {
  const { connect, kernel } = await open()
  const { closed } = await connect('log')
  await kernel.stop()
  assert.deepEqual(await closed, [1001, 'Rivetr stops'])
})

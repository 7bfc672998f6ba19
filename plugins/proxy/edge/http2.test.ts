import assert from 'node:assert/strict'
import { scryptSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type ClientHttp2Session, connect, constants, type OutgoingHttpHeaders } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TableCertificate } from '@rivetr/sdk'
import { TestAuthority } from '@rivetr/testing'
import { eventually } from '@rivetr/testing/suites/eventually'
import { Taps } from './taps.ts'
import { answerOk, type Reply, TestEdge } from './test-edge.ts'

const host = 'app.example.test'

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
  readonly trailers: Readonly<Record<string, unknown>>
}

describe('HTTP/2', { timeout: 120_000 }, () => {
  let authority: TestAuthority
  let certificate: TableCertificate
  let edge: TestEdge
  const sessions: ClientHttp2Session[] = []

  before(async () => {
    authority = await TestAuthority.create()
    certificate = await pair(host)
  })
  afterEach(async () => {
    for (const session of sessions.splice(0)) session.destroy()
    await edge.close()
  })

  async function pair(...hosts: string[]): Promise<TableCertificate> {
    const { certificate: chain, key } = await authority.issue({ names: hosts })
    return { hosts, chain, key }
  }

  async function start(reply: Reply = answerOk, config = {}): Promise<void> {
    edge = await TestEdge.start(reply, config)
    edge.route({}, { certificates: [certificate] })
  }

  /** A connection; what goes wrong on it shows in its streams. */
  function client(servername = host): ClientHttp2Session {
    const session = connect(`https://127.0.0.1:${edge.tlsPort}`, { servername, rejectUnauthorized: false })
    session.on('error', () => undefined)
    sessions.push(session)
    return session
  }

  async function ask(
    headers: OutgoingHttpHeaders = {},
    body?: string | Buffer,
    session = client(),
  ): Promise<Answer> {
    const stream = session.request({ ':authority': host, ...headers }, { endStream: body === undefined })
    const answer = { status: 0, headers: {}, body: '', trailers: {} }
    stream.on('response', (fields) => {
      answer.status = Number(fields[':status'])
      answer.headers = fields
    })
    stream.on('trailers', (fields) => {
      answer.trailers = fields
    })
    stream.setEncoding('latin1').on('data', (text: string) => {
      answer.body += text
    })
    if (body !== undefined) stream.end(body)
    stream.on('error', () => undefined) // its code tells
    await new Promise((resolve) => stream.once('close', resolve))
    if (stream.rstCode !== constants.NGHTTP2_NO_ERROR)
      throw Object.assign(new Error(`reset with ${stream.rstCode}`), { code: stream.rstCode, answer })
    return answer
  }

  /** Answers every whole request head with these bytes. */
  const reply =
    (bytes: string): Reply =>
    (received, socket) => {
      if (received.endsWith('\r\n\r\n')) socket.write(bytes, 'latin1')
    }

  it('a request arrives as one of HTTP/1.1: its target byte for byte, one Host, no pseudo-field', async () => {
    await start()
    for (const path of ['/a//b?u=http://x//y', '/a/%2e%2e/b', '/x?']) {
      const { status, body } = await ask({ ':path': path, 'x-kept': 'yes' })
      assert.deepEqual([status, body], [200, 'ok'])
      assert.ok(edge.app.text.includes(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\n`), edge.app.text)
    }
    assert.match(edge.app.text, /\r\nx-kept: yes\r\n/)
    assert.match(edge.app.text, /\r\nx-forwarded-proto: https\r\nx-forwarded-host: app\.example\.test\r\n/)
    assert.doesNotMatch(edge.app.text, /\r\n:|transfer-encoding|content-length/i)
  })

  it('the crumbs of a cookie are one field', async () => {
    await start()
    await ask({ cookie: ['a=1', 'b=2', 'c=3'] })
    assert.match(edge.app.text, /\r\ncookie: a=1; b=2; c=3\r\n/)
    assert.equal(edge.app.text.match(/cookie/g)?.length, 1)
  })

  it('A16: `te: trailers` and fields for one connection cross in neither direction', async () => {
    await start(
      reply(
        'HTTP/1.1 200 Fine\r\nConnection: keep-alive, X-Inner\r\nKeep-Alive: timeout=9\r\nX-Inner: 1\r\nUpgrade: h2c\r\n' +
          'Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok',
      ),
    )
    const { status, headers } = await ask({ te: 'trailers' })
    assert.equal(status, 200)
    assert.doesNotMatch(edge.app.text, /\r\nte:/i)
    for (const name of ['connection', 'keep-alive', 'x-inner', 'upgrade', 'transfer-encoding'])
      assert.equal(headers[name], undefined, name)
    assert.equal(headers['x-kept'], '1')
    assert.deepEqual(headers['set-cookie'], ['a=1', 'b=2'])
  })

  for (const [what, headers, body, framing] of [
    [
      'without a length goes in chunks',
      {},
      'hello',
      /transfer-encoding: chunked\r\n[\s\S]*\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/,
    ],
    [
      'of a length keeps it',
      { 'content-length': '5' },
      'hello',
      /content-length: 5\r\n[\s\S]*\r\n\r\nhello$/,
    ],
    ['that is empty has none', { 'content-length': '0' }, undefined, /content-length: 0\r\n[\s\S]*\r\n\r\n$/],
  ] as const) {
    for (const method of ['POST', 'DELETE']) {
      it(`A1: a body of ${method} ${what}`, async () => {
        await start()
        assert.equal((await ask({ ':method': method, ...headers }, body)).status, 200)
        assert.match(edge.app.text, framing)
      })
    }
  }
  it('A1: a body that is not as long as it says is reset, and the app does not take it for whole', async () => {
    await start()
    await assert.rejects(ask({ ':method': 'POST', 'content-length': '9' }, 'hello'))
    assert.doesNotMatch(edge.app.text, /0\r\n\r\n$/)
    assert.equal((await ask()).status, 200)
  })

  for (const [what, headers] of [
    ['another authority than Host', { host: 'other.example.test' }],
    ['a method that is none', { ':method': 'GET /x' }],
  ] as const) {
    it(`A1: ${what} is refused, and nothing reaches the app`, async () => {
      await start()
      const status = await ask(headers).then(
        (answer) => answer.status,
        (error: { code?: number }) => error.code,
      )
      assert.ok(status === 400 || status === constants.NGHTTP2_PROTOCOL_ERROR, String(status))
      assert.equal(edge.app.text, '')
    })
  }
  it('U37: a client may send 256 KiB of a request, and 4 MiB of all, ahead of the app', async () => {
    await start()
    const session = client()
    await once(session, 'remoteSettings')
    assert.equal(session.remoteSettings.initialWindowSize, 256 * 1024)
    await eventually('the window of the connection', () =>
      session.state.remoteWindowSize === 4 * 1024 * 1024 ? true : undefined,
    )
  })
  it('U37: an upload that its app does not read waits, and holds up no other on its connection', async () => {
    await start((received, socket) => {
      if (received.startsWith('PUT /stalls')) socket.pause()
      else answerOk(received, socket)
    })
    const session = client()
    const stream = session.request(
      { ':method': 'PUT', ':authority': host, ':path': '/stalls' },
      { endStream: false },
    )
    stream.on('error', () => undefined)
    const [piece, limit] = [Buffer.alloc(256 * 1024), 128 * 1024 * 1024]
    let sent = 0
    const more = () => {
      while (sent < limit) {
        sent += piece.length
        if (!stream.write(piece)) return void stream.once('drain', more)
      }
    }
    more()
    let before = 0
    await eventually('it waits', () => {
      if (edge.app.connections[0]?.socket.isPaused() && sent === before) return true
      before = sent
      return undefined
    })
    assert.ok(sent < limit)
    const other = { ':method': 'PUT', ':path': '/other', 'content-length': String(1024 * 1024) }
    assert.equal((await ask(other, Buffer.alloc(1024 * 1024), session)).status, 200)
    stream.close()
  })
  it('CONNECT is not for this proxy: 405', async () => {
    await start()
    const stream = client().request({ ':method': 'CONNECT', ':authority': `${host}:443` })
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
    assert.equal(headers[':status'], 405)
  })

  it('A11: an unknown host gets 404, and one with another certificate 421', async () => {
    await start()
    const other = await pair('other.example.test')
    edge.route({}, { certificates: [certificate, other], fallback: other })
    assert.equal(
      (await ask({ ':authority': 'unknown.example.test' }, undefined, client('unknown.example.test'))).status,
      404,
    )
    assert.equal((await ask({ ':authority': 'other.example.test' })).status, 421)
    assert.equal(
      (await ask({ ':authority': 'other.example.test' }, undefined, client('other.example.test'))).status,
      404,
    )
    assert.equal((await ask({ ':authority': `${host}:8443` })).status, 200)
  })
  it('hosts of one certificate share a connection, also after its renewal', async () => {
    await start()
    edge.route({ host: 'second.example.test' }, { certificates: [await pair(host, 'second.example.test')] })
    const session = client()
    assert.equal((await ask({ ':authority': 'second.example.test' }, undefined, session)).status, 200)
    edge.route({ host: 'second.example.test' }, { certificates: [await pair(host, 'second.example.test')] })
    assert.equal((await ask({ ':authority': 'second.example.test' }, undefined, session)).status, 200)
  })

  it('A16: fields of 15 kB pass, of 17 kB get 431, of 100 kB end the stream', async () => {
    await start()
    const session = client()
    assert.equal((await ask({ 'x-big': 'x'.repeat(15_000) }, undefined, session)).status, 200)
    assert.equal((await ask({ 'x-big': 'x'.repeat(17_000) }, undefined, session)).status, 431)
    const tooLarge = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`x-${n}`, 'x'.repeat(10_000)]))
    await assert.rejects(ask(tooLarge, undefined, session))
    assert.equal((await ask()).status, 200)
  })

  it('a field of which Node sends no second one does not cost the answer', async () => {
    await start(
      reply(
        'HTTP/1.1 200 OK\r\nX-Content-Type-Options: nosniff\r\nX-Content-Type-Options: nosniff\r\nVary: a\r\nVary: b\r\n' +
          'Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nDate: x\r\nContent-Length: 2\r\n\r\nok',
      ),
    )
    const { status, headers, body } = await ask()
    assert.deepEqual([status, body], [200, 'ok'])
    assert.deepEqual(
      [headers['x-content-type-options'], headers.vary, headers['set-cookie'], headers.date],
      ['nosniff, nosniff', 'a, b', ['a=1', 'b=2'], 'x'],
    )
  })
  it('a status that HTTP/2 does not have is 502, and one with a body that may have none does no harm', async () => {
    await start((received, socket) => {
      if (!received.endsWith('\r\n\r\n')) return
      const status =
        received.lastIndexOf('/205') > received.lastIndexOf('GET / ') ? '205 Reset Content' : '999 X'
      socket.write(`HTTP/1.1 ${status}\r\nContent-Length: 2\r\n\r\nok`)
    })
    const session = client()
    assert.equal((await ask({}, undefined, session)).status, 502)
    await assert.rejects(ask({ ':path': '/205' }, undefined, session)) // the client counts two bytes that nobody may send
    assert.equal((await ask({}, undefined, session)).status, 502)
  })
  it('A16: trailers of an answer arrive, and what announces them', async () => {
    await start(
      reply(
        'HTTP/1.1 200 OK\r\nTrailer: grpc-status\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\ngrpc-status: 0\r\nSet-Cookie: a\r\n\r\n',
      ),
    )
    const { headers, body, trailers } = await ask({ te: 'trailers' })
    assert.deepEqual([headers.trailer, body], ['grpc-status', 'ok'])
    assert.deepEqual(Object.entries(trailers), [['grpc-status', '0']])
  })
  it('A16: interim answers arrive before the answer', async () => {
    await start(
      reply(
        'HTTP/1.1 103 Early\r\nLink: </a>; rel=preload\r\nLink: </b>\r\nConnection: x\r\nX: 1\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      ),
    )
    const stream = client().request({ ':authority': host })
    const interims: unknown[] = []
    stream.on('headers', (fields) => interims.push([fields[':status'], fields.link, fields.x]))
    await once(stream, 'response')
    assert.deepEqual(interims, [
      [103, '</a>; rel=preload, </b>', undefined],
      [102, undefined, undefined],
    ])
    stream.close()
  })
  it('a client that waits for 100 Continue hears it from the app', async () => {
    await start((received, socket) => {
      if (received.endsWith('\r\n\r\n') && !received.includes('hello'))
        socket.write('HTTP/1.1 100 Continue\r\n\r\n')
      if (received.endsWith('hello')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
    const fields = { ':authority': host, ':method': 'POST', 'content-length': '5', expect: '100-continue' }
    const stream = client().request(fields, { endStream: false })
    await once(stream, 'continue')
    stream.end('hello')
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
    assert.equal(headers[':status'], 200)
    stream.close()
  })
  it('a client that waits for 100 Continue hears nothing else before the app refuses', async () => {
    await start(reply('HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno'))
    const fields = { ':authority': host, ':method': 'POST', 'content-length': '5', expect: '100-continue' }
    const stream = client().request(fields, { endStream: false })
    stream.on('continue', () => assert.fail('it may go on'))
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
    assert.equal(headers[':status'], 401)
    stream.close()
  })
  it('a client that leaves while its password is checked is not waited for by the app', async () => {
    await start()
    edge.route(
      { basicAuth: { realm: 'r', users: [userOf('ann', 'secret', 15)] } },
      { certificates: [certificate] },
    )
    const session = client()
    const authorization = `Basic ${Buffer.from('ann:secret').toString('base64')}`
    const stream = session.request({ ':authority': host, authorization })
    stream.on('error', () => undefined)
    await eventually('the edge has it', () => edge.requests.count > 0 || undefined)
    stream.close(constants.NGHTTP2_CANCEL)
    assert.equal((await ask({ authorization }, undefined, session)).status, 200)
    assert.equal(edge.app.text.match(/GET /g)?.length, 1)
    assert.deepEqual(edge.table.inFlight(), {})
  })
  it('takes the same way as HTTP/1.1: passwords, limits of bodies, fixed answers, pages, pauses', async () => {
    await start()
    const certificates = [certificate]
    edge.route({ basicAuth: { realm: 'r', users: [userOf('ann', 'secret', 10)] } }, { certificates })
    assert.equal((await ask()).status, 401)
    assert.equal(
      (await ask({ authorization: `Basic ${Buffer.from('ann:secret').toString('base64')}` })).status,
      200,
    )
    assert.doesNotMatch(edge.app.text, /authorization/)
    edge.route({ maxBodyBytes: 4 }, { certificates })
    assert.equal((await ask({ ':method': 'POST' }, 'hello')).status, 413)
    assert.equal((await ask({ ':method': 'POST', 'content-length': '5' }, 'hello')).status, 413)
    edge.route({ redirect: { status: 308, location: 'https://x.test', keepPath: true } }, { certificates })
    assert.equal((await ask({ ':path': '/p?q' })).headers.location, 'https://x.test/p?q')
    edge.route({ upstreams: [], errorPages: { 503: '<p>away</p>' } }, { certificates })
    assert.equal((await ask()).body, '<p>away</p>')
    edge.route({}, { certificates })
    edge.holds.hold('a', 60_000)
    const held = ask()
    edge.holds.release('a')
    assert.equal((await held).status, 200)
  })
  it('taps see no pseudo-field, and change what HTTP/1.1 lets them change', async () => {
    await start()
    const folder = await mkdtemp(join(tmpdir(), 'rivetr-taps-'))
    try {
      const file = join(folder, 'edge.mjs')
      await writeFile(
        file,
        `export default { name: 'x',
          request: ({ headers, method, path }) => ({ headers: { 'x-seen': [method, path, ...Object.keys(headers)].join(' '), 'x-gone': null } }),
          response: () => ({ headers: { 'x-from-tap': '1' } }) }`,
      )
      edge.requests.taps = await Taps.load([{ plugin: 'x', file, revision: '1', config: {} }])
      const session = client()
      const { headers } = await ask({ 'x-gone': '1', ':path': '/p?q' }, undefined, session)
      assert.equal(headers['x-from-tap'], '1')
      assert.match(edge.app.text, /\r\nx-seen: GET \/p x-gone host\r\n/)
      assert.doesNotMatch(edge.app.text, /x-gone: 1/)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
  it('the access log tells of it, and of what was refused', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'rivetr-log-'))
    try {
      edge = await TestEdge.start(answerOk, { accessLog: 'all' }, folder)
      edge.route({}, { certificates: [certificate] })
      const session = client()
      await ask({ ':path': '/p?q' }, undefined, session)
      await ask({ ':path': '/a#b' }, undefined, session)
      await ask({ ':path': '/e', expect: 'x' }, undefined, session)
      await edge.accessLog?.close()
      const lines = (await readFile(join(folder, 'access.log'), 'utf8')).trim().split('\n')
      const told = lines
        .map((line) => JSON.parse(line))
        .map((line) => [line.protocol, line.client, line.path, line.status])
      assert.deepEqual(told, [
        ['HTTP/2.0', '127.0.0.1', '/p', 200],
        ['HTTP/2.0', '127.0.0.1', '/a#b', 400],
        ['HTTP/2.0', '127.0.0.1', '/e', 417],
      ])
    } finally {
      await rm(folder, { recursive: true })
    }
  })
  it('A10: the client is whom the PROXY header names', async () => {
    await start(answerOk, { proxyProtocol: true, trustedProxies: ['127.0.0.1'] })
    const { socket } = await edge.secureClient(
      { ALPNProtocols: ['h2'] },
      'PROXY TCP4 9.9.9.9 127.0.0.1 1234 443\r\n',
    )
    const session = connect(`https://${host}`, { createConnection: () => socket })
    sessions.push(session)
    assert.equal((await ask({ 'x-forwarded-for': '6.6.6.6' }, undefined, session)).status, 200)
    assert.match(edge.app.text, /\r\nx-forwarded-for: 9\.9\.9\.9\r\n/)
  })

  it('HEAD, 204 and 304 have no body and do not hang', async () => {
    await start((received, socket) => {
      if (!received.endsWith('\r\n\r\n')) return
      const status = received.lastIndexOf('/204') > 0 ? '204 No Content' : '304 Not Modified'
      const head = received.lastIndexOf('HEAD /') >= 0
      socket.write(`HTTP/1.1 ${head ? '200 OK\r\nContent-Length: 5' : status}\r\n\r\n`)
    })
    const head = await ask({ ':method': 'HEAD' })
    assert.deepEqual([head.status, head.headers['content-length'], head.body], [200, '5', ''])
    assert.equal((await ask({ ':path': '/204' })).status, 204)
  })

  it('A6: an answer that breaks off is reset, never ended', async () => {
    for (const bytes of [
      'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n1234567',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    ]) {
      await start((received, socket) => {
        if (received.endsWith('\r\n\r\n')) socket.write(bytes, () => socket.end())
      })
      await assert.rejects(ask(), { code: constants.NGHTTP2_INTERNAL_ERROR })
      await edge.close()
    }
    await start()
  })
  it('A5: a request that the client resets ends at the app, and the connection goes on', async () => {
    await start((received, socket) => {
      if (received.endsWith('\r\n\r\n') && !received.includes('/slow'))
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
    const session = client()
    const stream = session.request({ ':authority': host, ':path': '/slow' })
    stream.on('error', () => undefined)
    const atApp = await eventually('the app has it', () => edge.app.connections[0])
    stream.close(constants.NGHTTP2_CANCEL)
    await eventually('the app hears of it', () => (atApp.socket.destroyed ? true : undefined), 5_000)
    assert.deepEqual(edge.table.inFlight(), {})
    assert.equal((await ask({}, undefined, session)).status, 200)
  })
  it('A13: each event of a stream arrives at once', async () => {
    let app: Parameters<Reply>[1] | undefined
    await start((_, socket) => {
      app = socket
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
    })
    const stream = client().request({ ':authority': host })
    await once(stream, 'response')
    let text = ''
    stream.on('data', (chunk) => {
      text += chunk
    })
    for (const event of ['one', 'two']) {
      app?.write(`3\r\n${event}\r\n`)
      await eventually(event, () => (text.endsWith(event) ? true : undefined))
    }
  })
  it('a client that takes nothing holds its answer up, and no memory', async () => {
    const chunk = Buffer.alloc(64 * 1024, 'x')
    let sent = 0
    await start((received, socket) => {
      if (!received.endsWith('\r\n\r\n')) return
      socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n')
      const more = () => {
        while (sent < 1_000) {
          sent += 1
          if (!socket.write(chunk)) return void socket.once('drain', more)
        }
        socket.end()
      }
      more()
    })
    const stream = client().request({ ':authority': host })
    await once(stream, 'response')
    let before = -1
    await eventually(
      'the app is made to wait',
      async () => {
        await sleep(300)
        if (sent > 0 && sent === before) return true
        before = sent
        return undefined
      },
      20_000,
    )
    assert.ok(sent < 800, `${sent} chunks of 64 KiB went into memory`)
    let bytes = 0
    stream.on('data', (part: Buffer) => {
      bytes += part.length
    })
    await once(stream, 'end')
    assert.equal(bytes, 64 * 1024 * 1_000)
  })
  it('an upload that stands still is cut, and others on its connection are not', async () => {
    await start(answerOk, { uploadIdleTimeoutMs: 200 })
    const session = client()
    const stream = session.request({ ':authority': host, ':method': 'POST' }, { endStream: false })
    stream.on('error', () => undefined)
    stream.write('begun')
    await once(stream, 'close')
    assert.equal((await ask({}, undefined, session)).status, 200)
  })
  it('no more than 128 requests at once of one client', async () => {
    await start(() => undefined)
    const session = client()
    await once(session, 'remoteSettings')
    assert.equal(session.remoteSettings.maxConcurrentStreams, 128)
  })
  it('draining sends GOAWAY, answers what is on its way, and ends the connection', async () => {
    const answers: (() => void)[] = []
    await start((_, socket) => {
      answers.push(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    })
    const idle = client()
    await once(idle, 'remoteSettings')
    const session = client()
    const answer = ask({}, undefined, session)
    await eventually('the app has it', () => answers[0])
    const goaway = once(session, 'goaway')
    const drained = edge.listener.drain(10_000)
    await Promise.all([goaway, once(idle, 'close')])
    answers[0]?.()
    assert.equal((await answer).body, 'ok')
    await drained
  })
  it('a connection without requests is closed after the limit, one with an open stream is not', async () => {
    await start((_, socket) => void socket.write('HTTP/1.1 200 OK\r\n\r\nevent'), { keepAliveTimeoutMs: 300 })
    const busy = client()
    const stream = busy.request({ ':authority': host })
    await once(stream, 'data')
    const idle = client()
    await once(idle, 'close')
    await sleep(400)
    assert.equal(busy.closed || busy.destroyed, false)
  })
})

/** `cost`: the exponent of N. */
function userOf(name: string, password: string, cost: number): { name: string; passwordHash: string } {
  const salt = Buffer.alloc(16)
  const hash = scryptSync(password, salt, 32, { N: 2 ** cost, r: 8, p: 1, maxmem: 128 * 1024 * 1024 })
  return { name, passwordHash: `scrypt$${cost}$${salt.toString('base64')}$${hash.toString('base64')}` }
}

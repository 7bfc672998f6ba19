import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2'
import { afterEach, before, describe, it } from 'node:test'
import type { TableCertificate } from '@rivetr/sdk'
import { TestAuthority } from '@rivetr/testing'
import { eventually } from '@rivetr/testing/suites/eventually'
import { Agent, WebSocket } from 'undici'
import { type Reply, TestEdge } from './test-edge.ts'

const host = 'app.example.test'

function accepting(key: string): string {
  const proof = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  return `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${proof}\r\nX-App: 1\r\n`
}

const keyIn = (received: string) => /\r\nsec-websocket-key: (.+)\r\n/i.exec(received)?.[1] ?? ''

/** Accepts, and sends back whatever comes. */
const echo: Reply = (received, socket) => {
  const end = received.indexOf('\r\n\r\n') + 4
  if (received.length === end) socket.write(`${accepting(keyIn(received))}\r\n`)
  else socket.write(received.slice(end), 'latin1')
}

describe('a WebSocket over HTTP/2 (RFC 8441)', { timeout: 60_000 }, () => {
  let certificate: TableCertificate
  let edge: TestEdge
  const sessions: ClientHttp2Session[] = []

  before(async () => {
    const { certificate: chain, key } = await (await TestAuthority.create()).issue({ names: [host] })
    certificate = { hosts: [host], chain, key }
  })
  afterEach(async () => {
    for (const session of sessions.splice(0)) session.destroy()
    await edge.close()
  })

  async function start(reply: Reply, config = {}): Promise<void> {
    edge = await TestEdge.start(reply, config)
    edge.route({}, { certificates: [certificate] })
  }

  async function client(): Promise<ClientHttp2Session> {
    const session = connect(`https://127.0.0.1:${edge.tlsPort}`, {
      servername: host,
      rejectUnauthorized: false,
    })
    session.on('error', () => undefined)
    sessions.push(session)
    await once(session, 'remoteSettings')
    return session
  }

  async function open(
    session: ClientHttp2Session,
    fields = {},
  ): Promise<[ClientHttp2Stream, Record<string, unknown>]> {
    const stream = session.request(
      {
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':scheme': 'https',
        ':authority': host,
        ':path': '/socket//a?b',
        'sec-websocket-version': '13',
        ...fields,
      },
      { endStream: false },
    )
    stream.on('error', () => undefined)
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
    return [stream, headers]
  }

  it('is an upgrade at the app, with the target as it came, and bytes go both ways', async () => {
    await start(echo)
    const session = await client()
    assert.equal(session.remoteSettings.enableConnectProtocol, true)
    const [stream, headers] = await open(session, {
      'sec-websocket-protocol': 'chat',
      'x-forwarded-for': '6.6.6.6',
    })
    assert.equal(headers[':status'], 200)
    assert.equal(headers['x-app'], '1')
    for (const name of ['connection', 'upgrade', 'sec-websocket-accept'])
      assert.equal(headers[name], undefined)
    assert.match(edge.app.text, /^GET \/socket\/\/a\?b HTTP\/1\.1\r\n/)
    for (const field of [
      'host: app.example.test',
      'connection: Upgrade',
      'upgrade: websocket',
      'x-forwarded-for: 127.0.0.1',
      'sec-websocket-protocol: chat',
      'sec-websocket-version: 13',
    ])
      assert.ok(edge.app.text.includes(`\r\n${field}\r\n`), `${field} in ${edge.app.text}`)
    stream.write('ping')
    assert.equal(String((await once(stream, 'data'))[0]), 'ping')
    assert.deepEqual(edge.table.inFlight(), { r1: 1 })
    stream.close()
    await eventually('both ends are closed', () => edge.app.connections[0]?.socket.destroyed || undefined)
    await eventually('nothing in flight', () => edge.table.inFlight().r1 === undefined || undefined)
  })

  it('is what the WebSocket of undici opens where it may use HTTP/2', async () => {
    await start((received, socket) => {
      const end = received.indexOf('\r\n\r\n') + 4
      if (received.length === end) socket.write(`${accepting(keyIn(received))}\r\n`)
      else socket.write(Buffer.from([0x81, 5, ...Buffer.from('hello')])) // one text message (RFC 6455 §5.2)
    })
    const dispatcher = new Agent({
      allowH2: true,
      connect: {
        rejectUnauthorized: false,
        lookup: (_name, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
      },
    })
    const socket = new WebSocket(`wss://${host}:${edge.tlsPort}/`, { dispatcher })
    await Promise.race([
      once(socket, 'open'),
      once(socket, 'error').then(([{ message }]) => assert.fail(message)),
    ])
    socket.send('hi')
    const [{ data }] = (await once(socket, 'message')) as [{ data: unknown }]
    assert.equal(data, 'hello')
    await dispatcher.destroy()
  })

  it('is held while its app is paused', async () => {
    await start(echo)
    const session = await client()
    edge.holds.hold('a', 60_000)
    const opened = open(session)
    assert.equal((await open(session, { ':authority': 'other.example.test' }))[1][':status'], 421)
    assert.equal(edge.app.text, '')
    edge.holds.release('a')
    assert.equal((await opened)[1][':status'], 200)
  })

  it('stays when its replica leaves the table, and lets others of its connection be answered', async () => {
    await start(echo)
    const session = await client()
    const [stream] = await open(session)
    edge.route({ upstreams: [] }, { certificates: [certificate] })
    assert.equal((await open(session))[1][':status'], 503)
    stream.write('still here')
    assert.equal(String((await once(stream, 'data'))[0]), 'still here')
  })

  it('is waited for when the edge drains, and cut at the limit', async () => {
    await start(echo)
    const session = await client()
    const [stream] = await open(session)
    const goaway = once(session, 'goaway')
    const drained = edge.listener.drain(500)
    await goaway
    stream.write('still here')
    assert.equal(String((await once(stream, 'data'))[0]), 'still here')
    await Promise.all([once(stream, 'close'), drained])
  })

  it('ends at the client when the app ends it, and at the app when the client does', async () => {
    await start(echo)
    const session = await client()
    const [first] = await open(session)
    edge.app.connections[0]?.socket.end('bye')
    const [bytes] = await once(first, 'data')
    assert.equal(String(bytes), 'bye')
    await once(first, 'end')
    first.end()
    const [second] = await open(session)
    second.end('bye')
    await eventually('the app hears it', () => edge.app.text.endsWith('bye') || undefined)
    const [third] = await open(session)
    edge.app.connections.at(-1)?.socket.resetAndDestroy()
    await once(third, 'close')
  })

  for (const [what, answer, status] of [
    ['401 and a body', 'HTTP/1.1 401 No\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nno!', 401],
    ['200', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nno!', 502],
    ['nothing', '', 504],
    ['no HTTP', 'SSH-2.0-x\r\n\r\n', 502],
    ['the proof for another key', `${accepting('another')}\r\n`, 502],
    ['no proof', 'HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', 502],
    ['another protocol', (key: string) => `${accepting(key).replace('websocket', 'h2c')}\r\n`, 502],
  ] as const) {
    it(`A4: an app that answers it with ${what} gets the client a ${status}, and leaves no socket`, async () => {
      await start((received, socket) => {
        socket.write(typeof answer === 'string' ? answer : answer(keyIn(received)))
      })
      edge.route({ firstByteTimeoutMs: 300 }, { certificates: [certificate] })
      const [stream, headers] = await open(await client())
      assert.equal(headers[':status'], status)
      if (status === 401) assert.equal(String((await once(stream, 'data'))[0]), 'no!')
      stream.resume().end()
      await eventually('nothing in flight', () => edge.table.inFlight().r1 === undefined || undefined)
      await eventually(
        'no socket is left',
        () => edge.app.connections.every(({ socket }) => socket.destroyed) || undefined,
      )
    })
  }
  it('A3: a client that resets it before the answer ends it at the app', async () => {
    await start(() => undefined)
    const session = await client()
    open(session).catch(() => undefined)
    const app = await eventually('the app has it', () => edge.app.connections[0])
    session.destroy(undefined, constants.NGHTTP2_CANCEL)
    await eventually('the app is let go', () => app.socket.destroyed || undefined)
    await eventually('nothing in flight', () => edge.table.inFlight().r1 === undefined || undefined)
  })
})

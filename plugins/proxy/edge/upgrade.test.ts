import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { eventually } from '@rivetr/testing/suites/eventually'
import { type Reply, TestEdge } from './test-edge.ts'

const upgrade =
  'GET /socket//a?b HTTP/1.1\r\nHost: app.example.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n'
const switching =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n'

/** Agrees to the upgrade, then sends back what comes. */
const echo: Reply = (received, socket) => {
  if (received.endsWith('\r\n\r\n')) socket.write(switching)
  else socket.write(received.slice(received.indexOf('\r\n\r\n') + 4))
}

describe('an upgrade to WebSocket', { timeout: 60_000 }, () => {
  let edge: TestEdge
  const start = async (reply: Reply) => {
    edge = await TestEdge.start(reply)
  }
  afterEach(() => edge.close())

  it('carries bytes both ways, with the target as it came and forwarding fields rebuilt', async () => {
    await start(echo)
    const client = edge.client()
    client.send(upgrade)
    await client.received(/^HTTP\/1.1 101 [\s\S]*\r\n\r\n/)
    client.send('ping')
    await client.received(/ping$/)
    assert.match(edge.app.text, /^GET \/socket\/\/a\?b HTTP\/1.1\r\n/)
    assert.match(edge.app.text, /\r\nx-forwarded-for: 127\.0\.0\.1\r\n/i)
    assert.deepEqual(edge.table.inFlight(), { r1: 1 })
    client.socket.destroy()
    await eventually('both ends are closed', () =>
      edge.app.connections[0]?.socket.destroyed ? true : undefined,
    )
    await eventually('nothing in flight', () => (edge.table.inFlight().r1 === undefined ? true : undefined))
  })

  it('stays when its replica leaves the table', async () => {
    await start(echo)
    const client = edge.client()
    client.send(upgrade)
    await client.received(/^HTTP\/1.1 101 /)
    edge.route({ upstreams: [] })
    client.send('still here')
    await client.received(/still here$/)
    assert.deepEqual(edge.table.inFlight(), { r1: 1 })
    client.socket.destroy()
  })

  for (const [what, answer] of [
    [
      'Content-Length',
      'HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\nConnection: keep-alive\r\nX-Why: no\r\n\r\nno!',
    ],
    [
      'chunks',
      'HTTP/1.1 502 Bad Gateway\r\nTransfer-Encoding: chunked\r\nX-Why: no\r\n\r\n3\r\nno!\r\n0\r\n\r\n',
    ],
    ['a redirect', 'HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 3\r\nX-Why: no\r\n\r\nno!'],
    ['the end of its connection', 'HTTP/1.1 404 Not Found\r\nX-Why: no\r\n\r\nno!'],
  ] as const) {
    it(`A4: a refusal with ${what} reaches the client whole, 200 times, and leaves no socket`, async () => {
      await start((_, socket) => {
        socket.write(answer)
        if (what.startsWith('the end')) socket.end()
      })
      const askAndLeave = async () => {
        for (let n = 0; n < 10; n += 1) {
          const client = edge.client()
          client.send(upgrade)
          await client.ended()
          assert.match(client.text, new RegExp(`^${answer.slice(0, 12)}`))
          assert.match(client.text, /\r\nx-why: no\r\n/i)
          assert.match(client.text, /\r\n\r\n(3\r\n)?no!/)
        }
      }
      await Promise.all(Array.from({ length: 20 }, askAndLeave))
      assert.equal(edge.app.connections.length, 200)
      await eventually('no socket is left', () =>
        edge.app.connections.every(({ socket }) => socket.destroyed) ? true : undefined,
      )
      await eventually('nothing in flight', () => (edge.table.inFlight().r1 === undefined ? true : undefined))
    })
  }

  for (const [what, first] of [
    [
      'an agreement',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade, X-Inner\r\nUpgrade: websocket\r\n',
    ],
    [
      'a refusal',
      'HTTP/1.1 403 Forbidden\r\nConnection: ,, X-Inner ,\r\nUpgrade: x\r\nContent-Length: 0\r\n',
    ],
  ] as const) {
    it(`A8: fields for one connection cross in neither direction, with ${what}`, async () => {
      await start((_, socket) =>
        socket.write(
          `${first}X-Inner: 1\r\nKeep-Alive: timeout=9\r\nProxy-Authenticate: Basic\r\nX-Kept: 1\r\n\r\n`,
        ),
      )
      const client = edge.client()
      client.send(
        'GET /socket HTTP/1.1\r\nHost: app.example.test\r\nConnection: Upgrade, X-Secret\r\nUpgrade: websocket\r\n' +
          'Sec-WebSocket-Version: 13\r\nX-Secret: 1\r\nKeep-Alive: timeout=9\r\nTE: trailers\r\n' +
          'Proxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\nX-Kept: 1\r\n\r\n',
      )
      await client.received(/\r\n\r\n/)
      for (const name of ['x-secret', 'keep-alive', 'te', 'proxy-authorization', 'proxy-connection'])
        assert.doesNotMatch(edge.app.text, new RegExp(`\r\n${name}:`, 'i'))
      assert.match(edge.app.text, /\r\nx-kept: 1\r\n/i)
      for (const name of ['x-inner', 'keep-alive', 'proxy-authenticate'])
        assert.doesNotMatch(client.text, new RegExp(`\r\n${name}:`, 'i'))
      assert.match(client.text, /\r\nx-kept: 1\r\n/i)
      const own =
        what === 'a refusal'
          ? /\r\nconnection: close\r\n/i
          : /\r\nconnection: Upgrade\r\nupgrade: websocket\r\n/i
      assert.match(client.text, own)
      client.socket.destroy()
    })
  }

  it('A3: a client that resets during the handshake ends its own connections and nothing else', async () => {
    await start(() => undefined)
    const client = edge.client()
    client.send(upgrade)
    const app = await eventually('the app has it', () => edge.app.connections[0])
    client.socket.resetAndDestroy()
    await eventually(
      'the connection to the app is closed',
      () => (app.socket.destroyed ? true : undefined),
      3_000,
    )
    assert.deepEqual(edge.table.inFlight(), {})
  })
  it('A3: a client that resets right after 101 does no harm either', async () => {
    await start((_, socket) => socket.write(switching))
    const client = edge.client()
    client.send(upgrade)
    await client.received(/^HTTP\/1.1 101 /)
    client.socket.resetAndDestroy()
    await eventually(
      'the connection to the app is closed',
      () => (edge.app.connections[0]?.socket.destroyed ? true : undefined),
      3_000,
    )
  })
  for (const [what, head] of [
    ['an answer', 'HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['its messages', switching],
  ] as const) {
    it(`A3: a client that resets while the app writes ${what} ends its own connections and nothing else`, async () => {
      const piece = `10000\r\n${'x'.repeat(0x10000)}\r\n`
      await start((_, socket) => {
        let left = 400
        const more = () => {
          while (left > 0 && !socket.destroyed && socket.write(piece)) left -= 1
        }
        socket.on('drain', more)
        socket.write(head)
        more()
      })
      const [leaves, stays] = [edge.client(), edge.client()]
      for (const client of [leaves, stays]) client.send(upgrade)
      for (const client of [leaves, stays]) {
        await client.received(/x{1000}/)
        client.socket.removeAllListeners('data').pause() // a string would not hold it
      }
      leaves.socket.resetAndDestroy()
      await eventually('one connection to the app is closed', () =>
        edge.app.connections.filter(({ socket }) => socket.destroyed).length === 1 ? true : undefined,
      )
      const { bytesRead } = stays.socket.resume()
      await eventually('the other goes on', () => (stays.socket.bytesRead > bytesRead ? true : undefined))
      stays.socket.destroy()
    })
  }
  it('A3: an app that refuses the connection gets the client a 502', async () => {
    await start(echo)
    edge.route({ upstreams: [{ replica: 'gone', address: '127.0.0.1', port: 1, weight: 1 }] })
    const client = edge.client()
    client.send(upgrade)
    await client.ended()
    assert.match(client.text, /^HTTP\/1.1 502 [\s\S]*<\/html>\n$/)
  })
  for (const [what, answer, status] of [
    ['nothing', '', 504],
    ['no HTTP', 'SSH-2.0-x\r\n\r\n', 502],
    ['interim answers alone', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(100), 504],
    ['a head that does not end', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n', 504],
    ['a head of 70 kB', `HTTP/1.1 101 X\r\n${`X: ${'x'.repeat(7_000)}\r\n`.repeat(10)}\r\n`, 502],
    ['a line feed alone', 'HTTP/1.1 101 X\r\nX: a\nSet-Cookie: evil=1\r\n\r\n', 502],
    [
      'a length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n',
      502,
    ],
  ] as const) {
    it(`A13: an app that answers it with ${what} gets the client a ${status}`, async () => {
      await start((_, socket) => void socket.write(answer))
      edge.route({ firstByteTimeoutMs: 500 })
      const client = edge.client()
      client.send(upgrade)
      await client.ended()
      assert.match(client.text, new RegExp(`^HTTP/1\\.1 ${status} `))
      assert.doesNotMatch(client.text, /evil/)
      await eventually('nothing in flight', () => (edge.table.inFlight().r1 === undefined ? true : undefined))
      await eventually('no socket is left', () =>
        edge.app.connections.every(({ socket }) => socket.destroyed) ? true : undefined,
      )
    })
  }
  it('is answered on a connection that has carried requests before', async () => {
    await start((received, socket) => {
      if (received.startsWith('GET /first')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      else socket.destroy()
    })
    const client = edge.client()
    client.send('GET /first HTTP/1.1\r\nHost: app.example.test\r\n\r\n')
    await client.received(/ok$/)
    client.send(upgrade)
    await client.ended()
    assert.match(client.text, /okHTTP\/1\.1 502 /)
  })
  it('gets 404 for an unknown host and 503 without an upstream', async () => {
    await start(echo)
    edge.route({ upstreams: [] })
    for (const [request, status] of [
      [upgrade, 503],
      [upgrade.replace('app.example', 'other.example'), 404],
    ] as const) {
      const client = edge.client()
      client.send(request)
      await client.ended()
      assert.match(client.text, new RegExp(`^HTTP/1.1 ${status} `))
    }
  })
})

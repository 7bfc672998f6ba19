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
  ] as const) {
    it(`A4: a refusal with ${what} reaches the client whole, and leaves no socket`, async () => {
      await start((_, socket) => socket.write(answer))
      for (let n = 0; n < 20; n += 1) {
        const client = edge.client()
        client.send(upgrade)
        await client.ended()
        assert.match(client.text, new RegExp(`^${answer.slice(0, 12)}`))
        assert.match(client.text, /\r\nx-why: no\r\n/i)
        assert.match(client.text, /\r\n\r\n(3\r\n)?no!/)
      }
      await eventually('no socket is left', () =>
        edge.app.connections.every(({ socket }) => socket.destroyed) ? true : undefined,
      )
      await eventually('nothing in flight', () => (edge.table.inFlight().r1 === undefined ? true : undefined))
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
  it('A3: an app that refuses the connection gets the client a 502', async () => {
    await start(echo)
    edge.route({ upstreams: [{ replica: 'gone', address: '127.0.0.1', port: 1, weight: 1 }] })
    const client = edge.client()
    client.send(upgrade)
    await client.ended()
    assert.match(client.text, /^HTTP\/1.1 502 [\s\S]*<\/html>\n$/)
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

import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { eventually } from '@rivetr/testing/suites/eventually'
import { type RawClient, type Reply, TestEdge } from './test-edge.ts'

const head = 'POST /a HTTP/1.1\r\nHost: app.example.test\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n'
const interim = 'HTTP/1.1 100 Continue\r\n\r\n'
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

describe('a client that waits for 100 Continue', { timeout: 60_000 }, () => {
  let edge: TestEdge
  let client: RawClient
  const start = async (reply: Reply) => {
    edge = await TestEdge.start(reply)
    client = edge.client()
    client.send(head)
  }
  afterEach(async () => {
    client.socket.destroy()
    await edge.close()
  })

  it('hears it from the app, once, and sends its body then', async () => {
    await start((received, socket) => {
      if (received.endsWith('\r\n\r\n')) socket.write(interim + interim)
      if (received.endsWith('hello')) socket.write(ok)
    })
    await client.received(/^HTTP\/1.1 100 Continue\r\n\r\n$/)
    assert.match(edge.app.text, /\r\nexpect: 100-continue\r\n(?:.+\r\n)*\r\n$/)
    client.send('hello')
    await client.received(/ok$/)
    assert.equal(client.text.match(/HTTP\/1\.1 100/g)?.length, 1)
    // Both sides agree on where the request ended.
    client.send('GET /b HTTP/1.1\r\nHost: app.example.test\r\n\r\nhello')
    await eventually('the next request arrives', () => /GET \/b HTTP/.test(edge.app.text) || undefined)
  })

  it('hears nothing before the app has said something', async () => {
    await start(() => undefined)
    await eventually('the app has the head', () => edge.app.text.endsWith('\r\n\r\n') || undefined)
    await edge.exchange('GET / HTTP/1.1\r\nHost: unknown.example.test\r\n\r\n')
    assert.equal(client.text, '')
  })

  it('may send its body without, and then hears of no 100', async () => {
    await start((received, socket) => {
      if (received.endsWith('hello')) socket.write(interim + ok)
    })
    client.send('hello')
    await client.received(/ok$/)
    assert.match(client.text, /^HTTP\/1.1 200 /)
  })

  it('gets a refusal of the app, and the connections of both end with it', async () => {
    await start((received, socket) => {
      if (received.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno')
    })
    await client.ended()
    assert.match(client.text, /^HTTP\/1.1 401 [\s\S]*\r\nConnection: close\r\n[\s\S]*no$/i)
    await eventually('the app is let go', () => edge.app.connections[0]?.socket.destroyed || undefined)
  })

  for (const [what, status, change] of [
    ['an unknown path', 404, { path: '/b' }],
    ['no upstream', 503, { upstreams: [] }],
    ['too long a body', 413, { maxBodyBytes: 4 }],
    ['a redirect', 308, { redirect: { status: 308, location: 'https://example.test' } }],
    ['a fixed answer', 200, { respond: { status: 200, body: 'x' } }],
  ] as const) {
    it(`gets ${status} for ${what} in place of it, and the connection ends`, async () => {
      await start(() => undefined)
      client.socket.destroy()
      edge.route(change)
      client = edge.client()
      client.send(`${head}GET /next HTTP/1.1\r\nHost: app.example.test\r\n\r\n`)
      await client.ended()
      assert.match(client.text, new RegExp(`^HTTP/1.1 ${status} `))
      assert.equal(client.text.match(/HTTP\/1\.1/g)?.length, 1)
      assert.doesNotMatch(edge.app.text, /next/)
    })
  }
})

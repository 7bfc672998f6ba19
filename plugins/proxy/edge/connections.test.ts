import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { eventually } from '@rivetr/testing/suites/eventually'
import { answerOk, type Reply, TestEdge } from './test-edge.ts'

const host = 'Host: app.example.test\r\n'
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

describe('the connections to an endpoint', { timeout: 60_000 }, () => {
  let edge: TestEdge
  const start = async (reply: Reply = answerOk, config = {}) => {
    edge = await TestEdge.start(reply, config)
  }
  const get = (path: string) => edge.exchange(`GET ${path} HTTP/1.1\r\n${host}\r\n`)
  afterEach(() => edge.close())

  it('are kept from one request to the next', async () => {
    await start((_, socket) => void socket.write(ok))
    for (const path of ['/1', '/2', '/3']) assert.match(await get(path), /^HTTP\/1.1 200 /)
    assert.equal(edge.app.connections.length, 1)
  })
  for (const [what, answer] of [
    ['a second answer that nobody asked for', ok + ok.replace('ok', 'no')],
    ['bytes after the answer', `${ok}x`],
    ['the wish to close', ok.replace('Content', 'Connection: close\r\nContent')],
    ['HTTP/1.0', ok.replace('1.1', '1.0')],
    ['a limit that is about to pass', ok.replace('Content', 'Keep-Alive: timeout=1\r\nContent')],
  ] as const) {
    it(`end with ${what}`, async () => {
      await start((received, socket) => void socket.write(received.startsWith('GET /first') ? answer : ok))
      assert.match(await get('/first'), /\r\n\r\nok$/)
      assert.match(await get('/second'), /\r\n\r\nok$/)
      assert.equal(edge.app.connections.length, 2)
    })
  }
  it('end after HEAD, and after a body where none is expected', async () => {
    await start((received, socket) => {
      socket.write(received.startsWith('HEAD') ? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n' : ok)
    })
    await edge.exchange(`HEAD / HTTP/1.1\r\n${host}\r\n`, /\r\n\r\n$/)
    await edge.exchange(`DELETE / HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\nxx`)
    await get('/')
    assert.equal(edge.app.connections.length, 3)
  })
  it('close when the replica leaves the table', async () => {
    await start()
    await get('/')
    edge.route({ upstreams: [] })
    await eventually('it is closed', () => (edge.app.connections[0]?.socket.destroyed ? true : undefined))
  })
  it('an answer in chunks that is all there gets its length', async () => {
    await start((_, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n')
    })
    const answer = await get('/')
    assert.match(answer, /\r\ncontent-length: 2\r\n[\s\S]*\r\n\r\nok$/i)
    assert.doesNotMatch(answer, /transfer-encoding/i)
  })
  it('a replica that stands still within its head gets the client a 504', async () => {
    await start((_, socket) => void socket.write('HTTP/1.1 200 OK\r\n'), { firstByteTimeoutMs: 100 })
    assert.match(await get('/'), /^HTTP\/1.1 504 /)
  })
  it('an answer that stands still is cut', async () => {
    await start((_, socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal'), {
      streamIdleTimeoutMs: 100,
    })
    const client = edge.client()
    client.send(`GET / HTTP/1.1\r\n${host}\r\n`)
    await client.ended()
    assert.match(client.text, /\r\n\r\nhal$/)
  })
  it('a body of two megabytes arrives whole, by length and in chunks', async () => {
    const piece = 'x'.repeat(400_000)
    for (const [framing, send] of [
      ['Content-Length: 2000000', () => piece],
      ['Transfer-Encoding: chunked', () => `61a80\r\n${piece}\r\n`],
    ] as const) {
      await start((received, socket) => {
        const body = received.slice(received.indexOf('\r\n\r\n') + 4)
        if (body.replace(/\r\n[0-9a-f]*|^[0-9a-f]+/g, '').replaceAll(/[^x]/g, '').length === 2_000_000)
          socket.write(ok)
      })
      const client = edge.client()
      client.send(`POST / HTTP/1.1\r\n${host}${framing}\r\n\r\n`)
      for (let n = 0; n < 5; n += 1) client.send(send())
      if (framing.startsWith('T')) client.send('0\r\n\r\n')
      await client.received(/ok$/)
      client.socket.destroy()
      if (framing.startsWith('C')) await edge.close()
    }
  })
})

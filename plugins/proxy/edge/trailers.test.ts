import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { type Reply, TestEdge } from './test-edge.ts'

const host = 'Host: app.example.test\r\n'
const request = (fields = '', version = '1.1') => `GET / HTTP/${version}\r\n${host}${fields}\r\n`
const askingForThem = 'Connection: TE\r\nTE: gzip;q=0.5, Trailers\r\n'
const trailers = 'X-Sum: 1\r\nx-more: \xe9\r\nX-Sum: 2\r\n'
const head = 'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n'

/** What follows the body of an answer over HTTP/2 is in `http2.test.ts`, that of requests in the tables of raw ones. */
describe('the trailers of an answer', { timeout: 60_000 }, () => {
  let edge: TestEdge
  const start = async (reply: Reply) => {
    edge = await TestEdge.start(reply)
  }
  afterEach(() => edge.close())

  const answering =
    (body: string): Reply =>
    (received, socket) => {
      if (received.endsWith('\r\n\r\n')) socket.write(head + body, 'latin1')
    }

  it('A16: reach a client that asked for them, with what announces them', async () => {
    await start(answering(`2\r\nok\r\n0\r\n${trailers}\r\n`))
    const text = await edge.exchange(request(askingForThem), /\r\n\r\n[\s\S]*\r\n\r\n$/)
    assert.match(text, /\r\nTrailer: X-Sum\r\n/)
    assert.ok(text.endsWith(`\r\n\r\n2\r\nok\r\n0\r\n${trailers}\r\n`), text)
  })
  it('A16: come after a body that took its time, or is none', async () => {
    await start((received, socket) => {
      if (!received.endsWith('\r\n\r\n')) return
      if (received.includes('/none')) return void socket.write(`${head}0\r\n${trailers}\r\n`, 'latin1')
      socket.write(`${head}2\r\nok\r\n`)
      setImmediate(() => socket.write(`0\r\n${trailers}\r\n`, 'latin1'))
    })
    const whole = /\r\n0\r\n(?:.+\r\n)*\r\n$/
    const slow = await edge.exchange(request(askingForThem), whole)
    assert.ok(slow.endsWith(`2\r\nok\r\n0\r\n${trailers}\r\n`), slow)
    const none = await edge.exchange(request(askingForThem).replace('/', '/none'), whole)
    assert.ok(none.endsWith(`\r\n\r\n0\r\n${trailers}\r\n`), none)
  })
  for (const [what, fields, version] of [
    ['did not ask', '', '1.1'],
    ['refuses them', 'TE: trailers;q=0\r\n', '1.1'],
    ['asks for something like them', 'TE: x-trailers\r\n', '1.1'],
    ['speaks HTTP/1.0', askingForThem, '1.0'],
  ] as const) {
    it(`A16: do not reach a client that ${what}, and nothing announces them`, async () => {
      await start(answering(`2\r\nok\r\n0\r\n${trailers}\r\n`))
      const text = await edge.exchange(request(fields, version))
      assert.match(text, /\r\nContent-Length: 2\r\n[\s\S]*\r\n\r\nok$/i)
      assert.doesNotMatch(text, /trailer|x-sum/i)
    })
  }
  for (const status of ['204 No Content', '304 Not Modified']) {
    it(`are not announced where there is no body: ${status}`, async () => {
      await start((received, socket) => {
        if (received.endsWith('\r\n\r\n')) socket.write(`HTTP/1.1 ${status}\r\nTrailer: X-Sum\r\n\r\n`)
      })
      const text = await edge.exchange(request(askingForThem), /\r\n\r\n$/)
      assert.match(text, new RegExp(`^HTTP/1.1 ${status}\r\n`))
      assert.doesNotMatch(text, /trailer/i)
    })
  }
  it('are not announced by an answer of a length, nor to HEAD', async () => {
    await start((received, socket) => {
      if (received.includes('HEAD')) socket.write(head)
      else if (received.endsWith('\r\n\r\n'))
        socket.write('HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nContent-Length: 2\r\n\r\nok')
    })
    for (const method of ['GET', 'HEAD']) {
      const text = await edge.exchange(request(askingForThem).replace('GET', method), /\r\n\r\n(?:ok)?$/)
      assert.match(text, /^HTTP\/1\.1 200 (?:(?!trailer)[\s\S])*$/i)
    }
  })
  it('that belong before a body, or frame it, are left out', async () => {
    const evil =
      'Set-Cookie: a=1\r\nContent-Type: text/html\r\nLocation: /evil\r\nConnection: close\r\nX_Forwarded_For: 6.6.6.6\r\n'
    await start(answering(`2\r\nok\r\n0\r\n${evil}X-Sum: 1\r\n\r\n`))
    const text = await edge.exchange(request(askingForThem), /\r\n\r\n[\s\S]*\r\n\r\n$/)
    assert.ok(text.endsWith('\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n'), text)
  })
})

import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { answerOk, type Reply, TestEdge } from './test-edge.ts'

const host = 'Host: app.example.test\r\n'
const webSocket = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'

describe('what a route does besides leading to its app', { timeout: 30_000 }, () => {
  let edge: TestEdge
  const start = async (reply: Reply = answerOk, config = {}) => {
    edge = await TestEdge.start(reply, config)
  }
  const get = (path: string, fields = '') =>
    edge.exchange(`GET ${path} HTTP/1.1\r\n${host}${fields}\r\n`, /\r\n\r\n/)
  afterEach(() => edge.close())

  for (const [keepPath, path, location] of [
    [true, '/a//b?u=http://x//y', 'https://example.test/a//b?u=http://x//y'],
    [true, '/', 'https://example.test/'],
    [true, '//evil.example.test/x', 'https://example.test//evil.example.test/x'],
    [true, '/a/%2e%2e/b', 'https://example.test/a/%2e%2e/b'],
    [false, '/a?b', 'https://example.test'],
  ] as const) {
    it(`a redirect ${keepPath ? 'keeps' : 'drops'} ${path}`, async () => {
      await start()
      edge.route({ redirect: { status: 308, location: 'https://example.test', keepPath } })
      assert.ok((await get(path)).toLowerCase().includes(`\r\nlocation: ${location}\r\n`))
      assert.equal(edge.app.text, '')
    })
  }

  it('an answer of its own is given to a WebSocket, too', async () => {
    await start()
    edge.route({ respond: { status: 503, headers: { 'retry-after': '9' }, body: 'soon' } })
    for (const fields of ['', webSocket]) assert.match(await get('/', fields), /^HTTP\/1.1 503 [\s\S]*soon/)
    assert.equal(edge.app.text, '')
  })

  for (const [prefix, path, forApp] of [
    ['/api', '/api/x?y=/api', '/x?y=/api'],
    ['/api', '/api', '/'],
    ['/api', '/api?y', '/?y'],
    ['/api', '/api//x/%2F', '//x/%2F'],
    ['/api/', '/api/x', '/x'],
    ['/', '/x', '/x'],
  ] as const) {
    it(`the prefix ${prefix} is taken off ${path}`, async () => {
      await start()
      edge.route({ path: prefix, stripPath: true })
      await get(path, 'X-Forwarded-Prefix: /evil\r\n')
      assert.ok(edge.app.text.startsWith(`GET ${forApp} HTTP/1.1\r\n`), edge.app.text)
      const told = /\r\nx-forwarded-prefix: (.*)\r\n/i.exec(edge.app.text)?.[1]
      assert.equal(told, prefix === '/' ? undefined : '/api')
    })
  }

  it('a body that says it is too long is refused before the app hears of it', async () => {
    await start()
    edge.route({ maxBodyBytes: 4 })
    const post = (body: string) =>
      edge.exchange(`POST / HTTP/1.1\r\n${host}Content-Length: ${body.length}\r\n\r\n${body}`, /\r\n\r\n/)
    const refused = await post('12345')
    assert.match(refused, /^HTTP\/1.1 413 /)
    assert.match(refused, /\r\nconnection: close\r\n/i)
    assert.equal(edge.app.text, '')
    assert.match(await post('1234'), /^HTTP\/1.1 200 /)
  })

  it('a body in chunks is cut where it becomes too long, and the app does not take it for whole', async () => {
    await start()
    edge.route({ maxBodyBytes: 4 })
    const chunked = `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n`
    assert.match(await edge.exchange(`${chunked}4\r\n1234\r\n0\r\n\r\n`, /\r\n\r\n/), /^HTTP\/1.1 200 /)
    const before = edge.app.text.length
    const answer = await edge.exchange(`${chunked}3\r\n123\r\n2\r\n45\r\n0\r\n\r\n`, /\r\n\r\n/)
    assert.match(answer, /^HTTP\/1.1 413 /)
    assert.doesNotMatch(edge.app.text.slice(before), /0\r\n\r\n$/)
  })

  it('an app that is slower than its route allows gets the client 504', async () => {
    await start(() => undefined)
    edge.route({ firstByteTimeoutMs: 50 })
    assert.match(await get('/'), /^HTTP\/1.1 504 /)
  })

  it('pages of its own stand in for ours, but not where JSON is asked for', async () => {
    await start((_, socket) => void socket.resetAndDestroy())
    edge.route({
      errorPages: { 502: '<p>ours</p>', 503: '<p>none</p>', 413: '<p>large</p>' },
      maxBodyBytes: 1,
    })
    const json = await get('/', 'Accept: application/json\r\n')
    assert.match(json, /^HTTP\/1.1 502 [\s\S]*"status":502/)
    assert.match(await get('/'), /^HTTP\/1.1 502 [\s\S]*\r\n\r\n<p>ours<\/p>$/)
    const large = await edge.exchange(`POST / HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\nxx`, /<p>/)
    assert.match(large, /^HTTP\/1.1 413 [\s\S]*<p>large<\/p>$/)
    edge.route({ errorPages: { 503: '<p>none</p>' }, upstreams: [] })
    assert.match(await get('/'), /^HTTP\/1.1 503 [\s\S]*\r\nretry-after: [\s\S]*<p>none<\/p>$/i)
  })
})

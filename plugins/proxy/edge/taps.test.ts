import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { EdgeConfig, EdgeOutcome } from '@rivetr/sdk/edge'
import { eventually } from '@rivetr/testing/suites/eventually'
import { Taps } from './taps.ts'
import { answerOk, type Reply, TestEdge } from './test-edge.ts'

const host = 'Host: app.example.test\r\n'
const webSocket = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'

describe('taps in an edge', { timeout: 60_000 }, () => {
  let folder: string
  let edge: TestEdge | undefined
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rivetr-taps-'))
  })
  afterEach(async () => {
    await edge?.close()
    edge = undefined
    await rm(folder, { recursive: true, force: true })
  })

  /** Writes modules whose default export has these parts, and loads them as plugins `p0`, `p1`, … */
  async function load(parts: readonly string[], config: EdgeConfig = {}): Promise<Taps> {
    const list = parts.map(async (part, n) => {
      const file = join(folder, `tap-${n}.mjs`)
      await writeFile(file, `export default { name: 'p${n}', ${part} }`)
      return { plugin: `p${n}`, file, revision: '1', config }
    })
    const taps = await Taps.load(await Promise.all(list))
    assert.ok(taps !== undefined)
    return taps
  }

  async function start(parts: readonly string[], config: EdgeConfig = {}, reply: Reply = answerOk) {
    edge = await TestEdge.start(reply)
    edge.requests.taps = await load(parts, config)
    return edge
  }

  const get = (path = '/', fields = '') =>
    (edge as TestEdge).exchange(`GET ${path} HTTP/1.1\r\n${host}${fields}\r\n`)

  it('are none where no plugin has any', async () => {
    assert.equal(await Taps.load([]), undefined)
  })

  it('see the request as it is, with the configuration of their plugin', async () => {
    await start(
      [
        'request: (seen, config) => ({ answer: { status: 200, body: JSON.stringify({ seen, config }) + "ok" } })',
      ],
      { level: 3 },
    )
    const answer = await get('/a//b?c=d?e', 'X-Request-Id: id-1\r\nX-Two: a\r\nX-Two: b\r\n')
    const body = /\{.*\}(?=ok)/.exec(answer)?.[0] ?? ''
    assert.deepEqual(JSON.parse(body), {
      seen: {
        id: 'id-1',
        method: 'GET',
        host: 'app.example.test',
        path: '/a//b',
        query: 'c=d?e',
        headers: { host: 'app.example.test', 'x-request-id': 'id-1', 'x-two': 'a, b' },
        client: '127.0.0.1',
        app: { id: 'a', name: 'a' },
      },
      config: { level: 3 },
    })
    assert.equal(edge?.app.text, '')
  })

  it('what they set or remove does not come back behind the body', async () => {
    await start(
      ["request: () => ({ headers: { 'x-user': 'ann', 'x-old': null } })"],
      {},
      (received, socket) => {
        if (received.endsWith('X-Sum: 1\r\n\r\n'))
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      },
    )
    const trailers = 'X-User: root\r\nx-old: 1\r\nX-Sum: 1\r\n'
    const fields = `${host}Transfer-Encoding: chunked\r\n`
    await (edge as TestEdge).exchange(`POST / HTTP/1.1\r\n${fields}\r\n2\r\nhi\r\n0\r\n${trailers}\r\n`)
    assert.match(edge?.app.text ?? '', /\r\nx-user: ann\r\n[\s\S]*\r\n0\r\nX-Sum: 1\r\n\r\n$/)
  })

  it('set and remove fields of the request, one after the other', async () => {
    await start([
      "request: ({ client }) => ({ headers: { 'X-Saw': client, 'x-old': null, Cookie: 'a=1' } })",
      "request: () => ({ headers: { 'X-SAW': 'again' } })",
      'request: () => undefined',
    ])
    for (const fields of ['X-Old: 1\r\ncookie: b=2\r\n', `X-Old: 1\r\ncookie: b=2\r\n${webSocket}`]) {
      const before = edge?.app.text.length
      const client = (edge as TestEdge).client()
      client.send(`GET / HTTP/1.1\r\n${host}${fields}\r\n`)
      await client.received(/^HTTP/)
      client.socket.destroy()
      const sent = (edge as TestEdge).app.text.slice(before)
      assert.match(sent, /\r\nx-saw: again\r\n/)
      assert.match(sent, /\r\ncookie: a=1\r\n/)
      assert.doesNotMatch(sent, /x-old|b=2|127\.0\.0\.1\r\nx-saw/i)
    }
  })

  it('answer in place of the app, WebSockets too, and no tap after them is asked', async () => {
    await start([
      "request: ({ path }) => path === '/no' ? { answer: { status: 403, headers: { 'X-Why': 'closed' }, body: 'ok' } } : undefined",
      "request: () => { throw new Error('asked') }",
    ])
    for (const fields of ['', webSocket]) {
      const answer = await get('/no', fields)
      assert.match(answer, /^HTTP\/1.1 403 [\s\S]*\r\nx-why: closed\r\n/i)
    }
    assert.equal(edge?.app.text, '')
    assert.equal(edge?.requests.taps?.stats()[1]?.calls, 0)
    assert.match(await get('/yes'), /^HTTP\/1.1 200 /)
  })

  it('set and remove fields of the answer', async () => {
    const answer =
      'HTTP/1.1 200 OK\r\nServer: x\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok'
    await start(
      [
        "response: ({ status, headers, request }) => ({ headers: { Server: null, 'X-Saw': [status, headers['set-cookie'].length, request.path].join() } })",
      ],
      {},
      (_, socket) => void socket.write(answer),
    )
    const got = await get('/x')
    assert.match(got, /\r\nx-saw: 200,2,\/x\r\n/)
    assert.match(got, /\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n/)
    assert.doesNotMatch(got, /server: x/i)
    assert.match(got, /\r\n\r\nok$/)
  })

  it('hear how every request ended, those of no app included', async () => {
    const heard: EdgeOutcome[] = []
    Object.assign(globalThis, { heardByTap: heard })
    await start(['done: (outcome) => void globalThis.heardByTap.push(outcome)'])
    await get('/x?y')
    await (edge as TestEdge).exchange('GET / HTTP/1.1\r\nHost: other.example.test\r\n\r\n')
    await eventually('both', () => (heard.length === 2 ? true : undefined))
    const told = heard.map(({ path, status, replica, bytesOut }) => [path, status, replica, bytesOut])
    assert.deepEqual(told, [
      ['/x', 200, 'r1', 2],
      ['/', 404, undefined, 0],
    ])
  })

  it('change nothing by what they do to what they see', async () => {
    await start([
      "request: (seen) => { seen.headers['transfer-encoding'] = 'chunked'; delete seen.headers['content-length']; seen.path = '/other' }",
    ])
    const answer = await (edge as TestEdge).exchange(`POST /x HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\nhi`)
    assert.match(answer, /^HTTP\/1.1 200 /)
    assert.match(
      (edge as TestEdge).app.text,
      /^POST \/x HTTP\/1.1\r\n[\s\S]*content-length: 2\r\n[\s\S]*\r\n\r\nhi$/,
    )
  })

  it('are asked before the password, once', async () => {
    await start(['request: () => undefined'])
    edge?.route({ basicAuth: { realm: 'r', users: [] } })
    assert.match(await get(), /^HTTP\/1.1 401 /)
    assert.equal(edge?.requests.taps?.stats()[0]?.calls, 1)
  })

  const long = `'x'.repeat(9000)`
  for (const [body, error] of [
    ["throw new Error('out of ideas')", /out of ideas/],
    ['throw null', /null/],
    ['return Promise.resolve({})', /promise/],
    ["return Promise.reject(new Error('unheard'))", /promise/],
    ['return 1', /returned 1/],
    ['return null', /returned null/],
    ["return { headers: { 'Content-Length': '0' } }", /Content-Length is not a tap's/],
    ["return { headers: { 'transfer-encoding': 'chunked' } }", /not a tap's/],
    ['return { headers: { Connection: null } }', /not a tap's/],
    ["return { headers: { Host: 'other.example.test' } }", /not a tap's/],
    ["return { headers: { 'X-Forwarded-For': '192.0.2.1' } }", /not a tap's/],
    ["return { headers: { 'X-Request-Id': 'mine' } }", /not a tap's/],
    ["return { headers: { 'X A': '1' } }", /no name of a field/],
    ["return { headers: { 'X-A\\r\\nX-B': '1' } }", /no name of a field/],
    ["return { headers: { 'X-A': '1\\r\\nX-B: 2' } }", /value for the field X-A/],
    ["return { headers: { 'X-A': '\\u20ac' } }", /value for the field X-A/],
    ["return { headers: { 'X-A': 1 } }", /value for the field X-A/],
    [`return { headers: { 'X-A': ${long} } }`, /value for the field X-A/],
    ["return { answer: { status: 101, body: '' } }", /101 is no status/],
    ["return { answer: { status: '200', body: '' } }", /200 is no status/],
    ['return { answer: { status: 200, body: {} } }', /body of its answer/],
    ["return { answer: { status: 200, body: '', headers: { Upgrade: 'x' } } }", /not a tap's/],
    ['const until = performance.now() + 25; while (performance.now() < until);', /took \d+ ms, of 20/],
  ] as const) {
    it(`count for nothing, and are muted after five in a row: ${body}`, async () => {
      await start([`request: () => { ${body} }`, "request: () => ({ headers: { 'X-Other': 'yes' } })"])
      for (let n = 0; n < 6; n += 1) assert.match(await get(), /^HTTP\/1.1 200 /)
      const [stats, other] = edge?.requests.taps?.stats() ?? []
      assert.match(String(stats?.error), error)
      assert.deepEqual([stats?.calls, stats?.errors, stats?.muted], [5, 5, true])
      assert.deepEqual([other?.calls, other?.errors, other?.muted], [6, 0, false])
      assert.equal(edge?.app.text.match(/\r\nx-other: yes\r\n/g)?.length, 6)
      assert.equal(edge?.app.text.match(/\r\nx-a:|other\.example\.test|192\.0\.2\.1/gi), null)
    })
  }

  it('that fail now and then are not muted', async () => {
    await start(["request: ({ path }) => { if (path === '/bad') throw new Error('bad') }"])
    for (let n = 0; n < 8; n += 1) await get(n % 4 === 3 ? '/' : '/bad')
    const [stats] = edge?.requests.taps?.stats() ?? []
    assert.deepEqual([stats?.calls, stats?.errors, stats?.muted], [8, 6, false])
  })

  it('whose module cannot be loaded are named, and the others run', async () => {
    const faulty = {
      missing: undefined,
      broken: 'export default {',
      throwing: "throw new Error('at load')",
      other: "export default { name: 'somebody' }",
      none: 'export const name = 1',
    }
    const list = await Promise.all(
      Object.entries(faulty).map(async ([plugin, text]) => {
        const file = join(folder, `${plugin}.mjs`)
        if (text !== undefined) await writeFile(file, text)
        return { plugin, file, revision: '1', config: {} }
      }),
    )
    const well = join(folder, 'well.mjs')
    await writeFile(
      well,
      "import { defineEdge } from '@rivetr/sdk/edge'\nexport default defineEdge({ name: 'well', done() {} })",
    )
    const taps = await Taps.load([...list, { plugin: 'well', file: well, revision: '1', config: {} }])
    assert.deepEqual(
      taps?.stats().map(({ plugin, tap, muted }) => [plugin, tap, muted]),
      [...Object.keys(faulty).map((plugin) => [plugin, 'load', true]), ['well', 'done', false]],
    )
  })

  it('are those of the file as it is now, when the revision is another', async () => {
    const file = join(folder, 'tap.mjs')
    const answers: unknown[] = []
    for (const revision of ['1', '2']) {
      await writeFile(
        file,
        `export default { name: 'p', request: () => ({ answer: { status: 200, body: '${revision}' } }) }`,
      )
      const taps = await Taps.load([{ plugin: 'p', file, revision, config: {} }])
      answers.push(taps?.request({} as never)?.answer?.body)
    }
    assert.deepEqual(answers, ['1', '2'])
  })
})

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type RawApp, TestEdge } from './test-edge.ts'
import { recorder } from './test-recorder.ts'

/**
 * What an app may send in place of a sound answer. Its client gets a sound answer, 502, or a connection that is cut; the
 * next requests, to this app and to another one, get theirs.
 */
interface Row {
  readonly what: string
  readonly bytes: string
  readonly method: string
  readonly comes: RegExp
  /** The app closes its side after it. */
  readonly closes: boolean
  /** The connection to the app carries the next request, too. */
  readonly reused: boolean
}

const rows: Row[] = []
const stray = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray'

/** The client gets 502, and nothing of what the app sent but the interim answers before it. */
function refused(what: string, bytes: string, { method = 'GET', closes = false, interims = 0 } = {}): void {
  const before = `(?:HTTP/1\\.1 10[23] .*\\r\\n\\r\\n){${interims}}`
  const comes = new RegExp(`^${before}HTTP/1\\.1 502 (?:(?!stray|evil)[\\s\\S])*$`, 'i')
  rows.push({ what, bytes, method, closes, reused: false, comes })
}

/** What came before the fault has gone on; then the client's connection is cut, without a clean end. */
function cut(what: string, bytes: string, comes: RegExp, { closes = false } = {}): void {
  rows.push({ what, bytes, method: 'GET', closes, reused: false, comes })
}

/** The client gets a whole answer that fits. */
function passed(
  what: string,
  bytes: string,
  comes: RegExp,
  { method = 'GET', closes = false, reused = false } = {},
): void {
  rows.push({ what, bytes, method, closes, reused, comes })
}

const answer = (fields: string, body = '') => `HTTP/1.1 200 OK\r\n${fields}\r\n${body}`
const ok = answer('Content-Length: 2\r\n', 'ok')
const chunked = (body: string) => answer('Transfer-Encoding: chunked\r\n', body)
/** A head of its fields alone, and the body. */
const like = (status: number, body: string) =>
  new RegExp(`^HTTP/1\\.1 ${status} .*\\r\\n(?:.+\\r\\n)*\\r\\n${body}$`)

/** Nor does it have fields that tell of a body. */
const without = (status: number) =>
  new RegExp(`^HTTP/1\\.1 ${status} .*\\r\\n(?:(?!content-length|transfer-encoding).+\\r\\n)*\\r\\n$`, 'i')

// Where the answer ends.
passed('a length', ok, like(200, 'ok'), { reused: true })
passed('chunks', chunked('2;x=y\r\nok\r\n0\r\n\r\n'), like(200, 'ok'), { reused: true })
refused('a length and chunks', answer('Content-Length: 2\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'))
refused('chunks and a length', answer('Transfer-Encoding: chunked\r\nContent-Length: 2\r\n', '0\r\n\r\n'))
refused('two lengths', answer('Content-Length: 2\r\nContent-Length: 3\r\n', 'okx'))
refused('two lengths that are the same', answer('Content-Length: 2\r\nContent-Length: 2\r\n', 'ok'))
for (const length of ['2, 2', '+2', '-2', '0x2', '2x', '', '18446744073709551618'])
  refused(`a length of ${JSON.stringify(length)}`, answer(`Content-Length: ${length}\r\n`, 'ok'))
for (const coding of [
  'gzip',
  'gzip, chunked',
  'chunked, gzip',
  'chunked, chunked',
  'identity',
  'xchunked',
  '',
])
  refused(
    `the transfer coding ${JSON.stringify(coding)}`,
    answer(`Transfer-Encoding: ${coding}\r\n`, '0\r\n\r\n'),
    { closes: true },
  )
passed('chunks in HTTP/1.0', chunked('2\r\nok\r\n0\r\n\r\n').replace('1.1', '1.0'), like(200, 'ok'))
passed(
  'a length in HTTP/1.0 that wants to be kept',
  ok.replace('1.1 200 OK\r\n', '1.0 200 OK\r\nConnection: keep-alive\r\n'),
  like(200, 'ok'),
  { reused: true },
)
passed('a second answer that nobody asked for', ok + stray, like(200, 'ok'))
passed('bytes after the answer', `${ok}x`, like(200, 'ok'))
passed('bytes after the last chunk', `${chunked('2\r\nok\r\n0\r\n\r\n')}stray`, like(200, 'ok'))
passed('an answer to HEAD with a body', answer('Content-Length: 5\r\n', 'stray'), like(200, ''), {
  method: 'HEAD',
})
passed('an answer to HEAD with chunks', chunked('5\r\nstray\r\n0\r\n\r\n'), like(200, ''), { method: 'HEAD' })
passed('204 with a length and a body', `HTTP/1.1 204 None\r\nContent-Length: 5\r\n\r\nstray`, without(204))
passed(
  '204 with chunks',
  `HTTP/1.1 204 None\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nstray\r\n0\r\n\r\n`,
  without(204),
)
passed('304 with a body', `HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\nstray`, like(304, ''))
passed('204 and a second answer', `HTTP/1.1 204 None\r\n\r\n${stray}`, like(204, ''))
passed('an end of the connection for an end', answer('', 'ok'), /^HTTP\/1\.1 200 [\s\S]*ok/, { closes: true })
cut('an end before the length is reached', answer('Content-Length: 9\r\n', 'ok'), like(200, 'ok'), {
  closes: true,
})
cut('an end within chunks', chunked('9\r\nok'), /^HTTP\/1\.1 200 [\s\S]*ok(?:\r\n)?$/, { closes: true })
cut('an end before the last chunk', chunked('2\r\nok\r\n'), /^HTTP\/1\.1 200 [\s\S]*ok\r\n$/, {
  closes: true,
})
for (const [what, size] of [
  ['in hex notation', '0x5'],
  ['with a sign', '+5'],
  ['that is negative', '-5'],
  ['beyond 2^64', '10000000000000005'],
  ['with a space before it', ' 5'],
  ['of no digits', ''],
] as const)
  cut(
    `a chunk size ${what}`,
    chunked(`2\r\nok\r\n${size}\r\nstray\r\n0\r\n\r\n`),
    /^HTTP\/1\.1 (?!.*0\r\n\r\n$)(?:200|502) (?:(?!stray)[\s\S])*$/,
  )
cut(
  'a chunk that ends too late',
  chunked('2\r\nok\r\n4\r\nstray\r\n0\r\n\r\n'),
  /^HTTP\/1\.1 (?:200|502) (?:(?!\r\n0\r\n\r\n$)[\s\S])*$/,
)
passed(
  'trailers',
  chunked('2\r\nok\r\n0\r\nContent-Length: 9\r\nSet-Cookie: evil=1\r\n\r\n'),
  /^(?!.*evil)HTTP\/1\.1 (?:200|502) /s,
)
cut(
  'trailers of 70 kB',
  chunked(`2\r\nok\r\n0\r\n${`X: ${'x'.repeat(7_000)}\r\n`.repeat(10)}\r\n`),
  /^HTTP\/1\.1 (?:200|502) (?!.*\r\n0\r\n\r\n$)/s,
)

// Its head.
for (const [what, head] of [
  ['no HTTP', 'SSH-2.0-x\r\n\r\n'],
  ['HTTP/0.9', 'evil\r\n'],
  ['HTTP/1.2', ok.replace('1.1', '1.2')],
  ['another protocol', ok.replace('HTTP/1.1', 'ICY')],
  ['a status of two digits', ok.replace('200', '20')],
  ['a status of four digits', ok.replace('200', '2000')],
  ['a status of zeros', ok.replace('200', '000')],
  ['a status below 100, with a body', answer('Content-Length: 5\r\n', 'stray').replace('200', '099')],
  ['no status', 'HTTP/1.1 OK\r\n\r\n'],
  ['a line feed alone', answer('X: a\nSet-Cookie: evil=1\r\nContent-Length: 2\r\n', 'ok')],
  ['a carriage return alone', answer('X: a\rSet-Cookie: evil=1\r\nContent-Length: 2\r\n', 'ok')],
  ['NUL', answer('X: a\0b\r\nContent-Length: 2\r\n', 'ok')],
  ['a control character', answer('X: a\x01b\r\nContent-Length: 2\r\n', 'ok')],
  ['DEL', answer('X: a\x7fb\r\nContent-Length: 2\r\n', 'ok')],
  ['a folded field', answer('X: a\r\n evil\r\nContent-Length: 2\r\n', 'ok')],
  ['a space before the colon', answer('X : a\r\nContent-Length: 2\r\n', 'ok')],
  ['a name that is no token', answer('X(): a\r\nContent-Length: 2\r\n', 'ok')],
  ['no name', answer(': a\r\nContent-Length: 2\r\n', 'ok')],
  ['no colon', answer('X\r\nContent-Length: 2\r\n', 'ok')],
  ['line feeds alone', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok'],
  ['fields of 70 kB', answer(`${`X: ${'x'.repeat(7_000)}\r\n`.repeat(10)}Content-Length: 2\r\n`, 'ok')],
  ['20,000 fields', answer(`${'a:\r\n'.repeat(20_000)}Content-Length: 2\r\n`, 'ok')],
  ['3,000 cookies', answer(`${'Set-Cookie: a=evil; Path=/\r\n'.repeat(3_000)}Content-Length: 2\r\n`, 'ok')],
  ['a reason of 70 kB', ok.replace('OK', 'x'.repeat(70_000))],
  ['a name of 70 kB', answer(`${'x'.repeat(70_000)}: a\r\nContent-Length: 2\r\n`, 'ok')],
] as const)
  refused(what, head)
refused('nothing at all', '', { closes: true })
refused('a status line that is cut', 'HTTP/1.1 20', { closes: true })
refused('fields that are cut', 'HTTP/1.1 200 OK\r\nContent-Le', { closes: true })
passed(
  'a reason with control characters',
  ok.replace('OK', 'O\x01K\x7f'),
  /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nok$/,
  { reused: true },
)
passed('no reason', ok.replace(' OK', ''), like(200, 'ok'), { reused: true })
passed('a reason beyond ASCII', ok.replace('OK', 'g\xfct'), /^HTTP\/1\.1 200 g\xfct\r\n/, { reused: true })
passed('a status that nobody knows', ok.replace('200', '999'), like(999, 'ok'), { reused: true })
passed(
  'a hundred cookies',
  answer(`${'Set-Cookie: a=b\r\n'.repeat(100)}Content-Length: 2\r\n`, 'ok'),
  /(?:Set-Cookie: a=b\r\n){100}/,
  { reused: true },
)
passed(
  'line breaks that are encoded',
  answer('Location: /%0d%0aSet-Cookie:%20evil=1\r\nContent-Length: 2\r\n', 'ok'),
  /\r\nLocation: \/%0d%0aSet-Cookie:%20evil=1\r\n/,
  { reused: true },
)
passed(
  'fields for the connection',
  answer(
    'Connection: upgrade, x-inner, content-length, transfer-encoding\r\nUpgrade: h2c\r\nX-Inner: evil\r\nKeep-Alive: timeout=9\r\nTrailer: x\r\nContent-Length: 2\r\n',
    'ok',
  ),
  /^(?!.*(?:evil|upgrade|trailer|timeout=9))HTTP\/1\.1 200 .*\r\nContent-Length: 2\r\n.*ok$/is,
  { reused: true },
)

passed('HTTP/2.0', ok.replace('1.1', '2.0'), like(200, 'ok'))

// Interim answers.
passed('103 before it', `HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n${ok}`, /HTTP\/1\.1 200 OK\r\n[\s\S]*ok$/, {
  reused: true,
})
passed('100 that nobody waits for', `HTTP/1.1 100 Continue\r\n\r\n${ok}`, like(200, 'ok'), { reused: true })
passed(
  '20 interim answers',
  `${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(20)}${ok}`,
  /^(?:HTTP\/1\.1 102 Processing\r\n\r\n){20}HTTP\/1\.1 200 OK\r\n[\s\S]*ok$/,
  { reused: true },
)
passed(
  'A16: an interim answer whose fields are for one connection, or tell of a body',
  `HTTP/1.1 103 \x80\r\nLink: </a>; rel=preload\r\nLink: </b>\r\nX: \xe9\r\nConnection: x-inner\r\nX-Inner: 1\r\nKeep-Alive: timeout=9\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n${ok}`,
  /^HTTP\/1\.1 103 \x80\r\nLink: <\/a>; rel=preload\r\nLink: <\/b>\r\nX: \xe9\r\n\r\nHTTP\/1\.1 200 OK\r\n[\s\S]*ok$/,
  { reused: true },
)
passed(
  'an interim answer that nobody knows',
  `HTTP/1.1 199\r\n\r\n${ok}`,
  /^HTTP\/1\.1 199 \r\n\r\nHTTP\/1\.1 200 /,
  {
    reused: true,
  },
)
refused('1,000 interim answers', `${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(1_000)}${ok}`, { interims: 100 })
refused('an interim answer with a body', 'HTTP/1.1 103 Early\r\nContent-Length: 5\r\n\r\nstray', {
  interims: 1,
})
refused(
  'an interim answer in chunks',
  'HTTP/1.1 103 Early\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nstray\r\n0\r\n\r\n',
  { interims: 1 },
)
refused(
  'a switch of protocols that nobody asked for',
  `HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nstray`,
)
refused('a switch of protocols to none', `HTTP/1.1 101 X\r\n\r\n${stray}`)

describe(`the table of raw answers, with ${rows.length} rows`, { timeout: 300_000 }, () => {
  let row: Row
  const app = recorder((request, socket) => {
    if (!request.includes(' /row ')) return ok
    socket.write(row.bytes, 'latin1')
    if (row.closes) socket.end()
    return undefined
  })
  const next = recorder()
  let edge: TestEdge
  let nextApp: RawApp

  before(async () => {
    edge = await TestEdge.start(app.reply)
    nextApp = await edge.addNext(next.reply)
  })
  after(async () => {
    await nextApp.close()
    await edge.close()
  })

  for (const each of rows) {
    it(each.what, async () => {
      row = each
      edge.app.forget()
      const carriedBy = () => edge.app.connections.findLast(({ text }) => text.includes(' /row '))
      const client = edge.client()
      client.send(`${each.method} /row HTTP/1.1\r\nHost: app.example.test\r\nConnection: close\r\n\r\n`)
      await client.ended()
      assert.match(client.text, each.comes)
      // Another client of the app, and one of another app.
      const [sameApp, otherApp] = await Promise.all([
        edge.exchange('GET /after HTTP/1.1\r\nHost: app.example.test\r\n\r\n'),
        edge.exchange('GET /after HTTP/1.1\r\nHost: next.example.test\r\n\r\n', /next$/),
      ])
      assert.match(sameApp, like(200, 'ok'))
      assert.match(otherApp, like(200, 'next'))
      assert.equal(/ \/row [\s\S]* \/after /.test(carriedBy()?.text ?? ''), each.reused)
      assert.deepEqual(edge.table.inFlight(), {})
    })
  }
})

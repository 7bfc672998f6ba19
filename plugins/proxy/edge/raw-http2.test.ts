import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { TestAuthority } from '@rivetr/testing'
import { eventually } from '@rivetr/testing/suites/eventually'
import { TestEdge } from './test-edge.ts'
import {
  block,
  endHeaders,
  endStream,
  FrameClient,
  frame,
  headers,
  number,
  setting,
} from './test-http2-frames.ts'
import { recorder } from './test-recorder.ts'

/**
 * Every way that we know to make an edge and an app disagree about a request over HTTP/2, and to keep an edge busy for
 * nothing (RFC 9113 §8.1–8.3, §10.3, §10.5). After each comes a request of somebody else, which is answered.
 */
interface Row {
  readonly what: string
  readonly frames: readonly Buffer[]
  /** The status of the answer, `reset` and the code, or `closed` when the connection ended. */
  readonly outcome: string
  /** On this stream. */
  readonly stream: number
  /** What the app gets whole, byte for byte. */
  readonly arrives: readonly string[]
}

const rows: Row[] = []
const host = 'app.example.test'

/** What arrives at the app is nothing, one request, or several. */
function row(
  outcome: string,
  what: string,
  frames: readonly Buffer[],
  arrives: string | readonly string[] = [],
  stream = 1,
): void {
  rows.push({ what, frames, outcome, arrives: [arrives].flat(), stream })
}

const pseudo = (changes: Record<string, string | undefined> = {}): string[] =>
  Object.entries({ ':method': 'GET', ':scheme': 'https', ':authority': host, ':path': '/a', ...changes })
    .filter(([, value]) => value !== undefined)
    .flat() as string[]
const get = (...fields: string[]) => [headers(1, [...pseudo(), ...fields])]
const withPseudo = (name: string, value: string | undefined) => [headers(1, pseudo({ [name]: value }))]
const post = (fields: string[], ...rest: Buffer[]) => [
  headers(1, [...pseudo({ ':method': 'POST' }), ...fields], endHeaders),
  ...rest,
]
const data = (bytes: string, flags = endStream) => frame('data', 1, bytes, flags)
const arrived = (line: string, fields = '', body = '', authority = host) =>
  `${line} HTTP/1.1\r\nhost: ${authority}\r\nconnection: keep-alive\r\n${fields}` +
  `x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: https\r\nx-forwarded-host: ${authority}\r\nx-request-id: ~\r\n\r\n${body}`
const asGet = arrived('GET /a')
const malformed = 'reset 1' // PROTOCOL_ERROR

// Pseudo-fields (RFC 9113 §8.3.1).
row('200', 'a GET', get(), asGet)
row(
  '200',
  'Host in place of :authority',
  [headers(1, [...pseudo({ ':authority': undefined }), 'host', host])],
  asGet,
)
row('200', 'Host that says the same', get('host', host), asGet)
row('400', 'Host that says another', get('host', 'other.example.test'))
row('400', 'Host in other letters', get('host', 'APP.example.test'))
row(malformed, 'Host twice', get('host', host, 'host', 'other.example.test'))
row(malformed, 'no authority at all', withPseudo(':authority', undefined))
for (const name of [':method', ':scheme', ':path']) row(malformed, `no ${name}`, withPseudo(name, undefined))
for (const name of [':method', ':scheme', ':path', ':authority'])
  row(malformed, `${name} twice`, get(name, pseudo()[pseudo().indexOf(name) + 1] as string))
row(malformed, 'an unknown pseudo-field', get(':x', 'y'))
row(malformed, 'a pseudo-field of answers', get(':status', '200'))
row(malformed, 'a pseudo-field behind others', [
  headers(1, [':method', 'GET', ':scheme', 'https', ':path', '/a', 'x', 'y', ':authority', host]),
])
row(malformed, ':protocol without CONNECT', withPseudo(':protocol', 'websocket'))
for (const value of ['', 'a b', `${host}\r\nx: y`, `u@${host}`, `${host}/`, `${host}\0`])
  row(malformed, `A11: :authority ${JSON.stringify(value)}`, withPseudo(':authority', value))
for (const value of [`${host},x`, `.${host}`, `${host}%2e`, '*.example.test', '[::1'])
  row('421', `A11: :authority ${JSON.stringify(value)}`, withPseudo(':authority', value))
row('400', 'A11: :authority with two ports', withPseudo(':authority', `${host}:80:80`))
row('404', 'A11: another :authority', withPseudo(':authority', 'other.example.test'))
for (const authority of [`${host}:8443`, 'APP.example.test', `${host}.`])
  row(
    '200',
    `A11: :authority ${authority}`,
    withPseudo(':authority', authority),
    arrived('GET /a', '', '', authority),
  )
for (const value of [
  '',
  'a',
  '*',
  '/a b',
  '/a\r\nx: y',
  '/a\0',
  'http://other.example.test/',
  '/a HTTP/1.1\r\nhost: x\r\n\r\n',
])
  row(malformed, `:path ${JSON.stringify(value)}`, withPseudo(':path', value))
for (const value of ['/a#b', '/\xe9'])
  row('400', `:path ${JSON.stringify(value)}`, withPseudo(':path', value))
for (const path of [
  '/a//b?u=http://x//y',
  '//evil.example.test/x',
  '/a/%2e%2e/b',
  '/a/../b',
  '/x?',
  '/%',
  '/"<>^`{|}',
])
  row('200', `A16: :path ${path}`, withPseudo(':path', path), arrived(`GET ${path}`))
row('204', 'OPTIONS *', [headers(1, pseudo({ ':method': 'OPTIONS', ':path': '*' }))])
for (const value of ['', 'GET /x', 'GET\r\nx: y', 'G\0T'])
  row(malformed, `:method ${JSON.stringify(value)}`, withPseudo(':method', value))
for (const value of ['get', 'FOO', 'PRI']) row('501', `:method ${value}`, withPseudo(':method', value))
row('405', 'TRACE', withPseudo(':method', 'TRACE'))
for (const value of ['', 'ht tp', 'https://x'])
  row(malformed, `:scheme ${JSON.stringify(value)}`, withPseudo(':scheme', value))
row('400', ':scheme ftp', withPseudo(':scheme', 'ftp'))
row('400', ':scheme ftp, with an address for a path', [
  headers(1, pseudo({ ':scheme': 'ftp', ':path': 'http://other.example.test/' })),
])
row('405', 'CONNECT', [headers(1, [':method', 'CONNECT', ':authority', `${host}:443`], endHeaders)])
row(malformed, 'CONNECT with a path', [headers(1, pseudo({ ':method': 'CONNECT' }), endHeaders)])
const connect = (changes: Record<string, string | undefined>) => [
  headers(1, pseudo({ ':method': 'CONNECT', ':protocol': 'websocket', ...changes }), endHeaders),
]
row('501', 'CONNECT for another protocol', connect({ ':protocol': 'connect-udp' }))
row(malformed, 'CONNECT for websocket without a path', connect({ ':path': undefined }))
row('400', 'CONNECT for websocket with a fragment', connect({ ':path': '/a#b' }))

// Fields (RFC 9113 §8.2).
for (const [name, value] of [
  ['connection', 'close'],
  ['connection', 'x-secret'],
  ['keep-alive', 'timeout=9'],
  ['proxy-connection', 'keep-alive'],
  ['transfer-encoding', 'chunked'],
  ['transfer-encoding', 'identity'],
  ['upgrade', 'websocket'],
  ['upgrade', 'h2c'],
  ['te', 'gzip'],
  ['te', 'trailers, chunked'],
] as const)
  row(malformed, `A8: ${name}: ${value}`, get(name, value))
row('200', 'A16: te: trailers', get('te', 'trailers'), asGet)
row(malformed, 'a name with a capital letter', get('X-Upper', 'v'))
// nghttp2 takes no notice of fields like these, where RFC 9113 §8.2.1 has the request refused: nobody ever sees them.
for (const name of ['x y', 'x:', 'x\r\ny', 'x\0', '', 'x\xff', 'transfer-encoding '])
  row('200', `a field ${JSON.stringify(name)} that goes no further`, get(name, 'v'), asGet)
for (const value of [
  'a\r\nx-smuggled: 1',
  'a\nb',
  'a\rb',
  'a\0b',
  'a\x01b',
  '\x7f',
  'a\r\n\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n',
])
  row('200', `a value ${JSON.stringify(value)} that goes no further`, get('x', value), asGet)
row(
  '200',
  'values with all that is allowed',
  get('x', '!"~\xff\t\xa0z', 'y', ''),
  arrived('GET /a', 'x: !"~\xff\t\xa0z\r\ny: \r\n'),
)
row(
  '200',
  'A10: the word of the proxy, in all spellings',
  get(
    'x-forwarded-for',
    '6.6.6.6',
    'x_forwarded_for',
    '6.6.6.6',
    'x-real-ip',
    '6.6.6.6',
    'forwarded',
    'for=6.6.6.6',
    'transfer_encoding',
    'chunked',
    'content_length',
    '5',
  ),
  asGet,
)
row(
  '200',
  'a cookie in crumbs',
  get('cookie', 'a=1', 'x', 'y', 'cookie', 'b=2'),
  arrived('GET /a', 'cookie: a=1; b=2\r\nx: y\r\n'),
)
row('417', 'an expectation', get('expect', 'x'))
row('431', '201 fields', get(...Array.from({ length: 201 }, () => ['a', '']).flat()))
row('431', 'A16: fields of 17 kB', [
  headers(1, [...pseudo(), 'x', 'x'.repeat(8_000)], endStream),
  frame('more', 1, block(['y', 'y'.repeat(9_000)]), endHeaders),
])

// Where the body ends (RFC 9113 §8.1.1): what does not fit is cut, and the app does not take it for whole.
const chunked = 'transfer-encoding: chunked\r\n'
const inChunks = arrived('POST /a', chunked, '5\r\nhello\r\n0\r\n\r\n')
row(
  '200',
  'A1: a body of a length',
  post(['content-length', '5'], data('hello')),
  arrived('POST /a', 'content-length: 5\r\n', 'hello'),
)
row('200', 'A1: a body without a length', post([], data('hello')), inChunks)
row('200', 'A1: a body of nothing', post([], data('')), arrived('POST /a', chunked, '0\r\n\r\n'))
row('200', 'padding', post([], frame('data', 1, '\x03hello\0\0\0', endStream | 8)), inChunks)
row(
  '200',
  'a body that looks like a request',
  post([], data('GET /evil HTTP/1.1\r\n\r\n')),
  arrived('POST /a', chunked, '16\r\nGET /evil HTTP/1.1\r\n\r\n\r\n0\r\n\r\n'),
)
row(malformed, 'A1: a length and no body', [
  headers(1, [...pseudo({ ':method': 'POST' }), 'content-length', '5']),
])
row(malformed, 'A1: a body that is too short', post(['content-length', '9'], data('hello')))
row('closed', 'A1: a body that is too long', post(['content-length', '3'], data('hello')))
row('closed', 'A1: a body for a length of 0', post(['content-length', '0'], data('hello')))
for (const length of ['+5', '-5', '0x5', '5, 5', '5 ', '', '99999999999999999999'])
  row(
    malformed,
    `A1: content-length ${JSON.stringify(length)}`,
    post(['content-length', length], data('hello')),
  )
row('413', 'a content-length of 16 digits', post(['content-length', '1000000000000000']))
for (const second of ['5', '6'])
  row(
    malformed,
    `A1: content-length 5 and ${second}`,
    post(['content-length', '5', 'content-length', second], data('hello')),
  )
const next = headers(3, pseudo())
for (const code of [0, 8])
  row(
    '200',
    `A1: a body that the client resets with ${code}`,
    [...post([], data('hello', 0), frame('reset', 1, number(code))), next],
    asGet,
    3,
  )

// Trailers (RFC 9113 §8.1, RFC 9110 §6.5.1).
const trailed = (...fields: string[]) => post([], data('hello', 0), headers(1, fields))
row(
  '200',
  'A16: a trailer',
  trailed('x-sum', '1'),
  arrived('POST /a', chunked, '5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n'),
)
row(
  '200',
  'trailers that have no place there',
  trailed(
    'authorization',
    'x',
    'content-type',
    'y',
    'x-forwarded-for',
    '6.6.6.6',
    'x_real_ip',
    '6.6.6.6',
    'cookie',
    'z',
    'host',
    'evil',
    'te',
    'trailers',
    'if-match',
    'x',
  ),
  inChunks,
)
for (const name of [
  ':path',
  ':authority',
  ':status',
  'X-Upper',
  'connection',
  'transfer-encoding',
  'upgrade',
])
  row(malformed, `a trailer ${name}`, trailed(name, 'x'))
row(
  malformed,
  'trailers that do not end the stream',
  post([], data('hello', 0), headers(1, ['x-sum', '1'], endHeaders)),
)
row(
  '200',
  'a trailer with CR and LF that goes no further',
  trailed('x-sum', '1\r\n\r\nGET /evil HTTP/1.1'),
  inChunks,
)

// Frames (RFC 9113 §4–6).
const ping = frame('ping', 0, '12345678')
row('closed', 'an even stream', [headers(2, pseudo()), ping])
row('closed', 'DATA of an idle stream', [frame('data', 3, 'x')])
row('closed', 'DATA after the end', [...get(), data('late')])
row('closed', 'HEADERS after the end', [...get(), headers(1, ['x', 'y'])])
row('closed', 'CONTINUATION without HEADERS', [frame('more', 1, block(pseudo()), endHeaders)])
row('closed', 'another frame in a block of fields', [headers(1, pseudo(), endStream), ping])
row('closed', 'a frame beyond the limit', [frame('data', 1, 'x'.repeat(16_385))])
row('closed', 'a window beyond 2^31', [frame('window', 0, number(0x7fffffff))])
row('closed', 'a window of nothing', [frame('window', 0, number(0))])
row('closed', 'PUSH_PROMISE', [frame('push', 1, Buffer.concat([number(2), block(pseudo())]), endHeaders)])
row('closed', 'a broken block of fields', [
  frame('headers', 1, Buffer.alloc(6, 0xff), endHeaders | endStream),
])
row('closed', 'a field that no table has', [frame('headers', 1, Buffer.of(0xfe), endHeaders | endStream)])
row('closed', 'padding longer than its frame', [frame('data', 1, '\xff', 8)])
row('closed', 'no preface', [Buffer.from('GET /a HTTP/1.1\r\n\r\n'), ping])
row('closed', 'SETTINGS of a broken size', [frame('settings', 0, Buffer.alloc(5))])
row('closed', 'SETTINGS of a window beyond 2^31', [frame('settings', 0, setting(4, 0x80000000))])
row(
  '200',
  'a stream that waits for itself',
  [frame('priority', 1, Buffer.concat([number(1), Buffer.of(1)])), ...get()],
  asGet,
)
row('200', 'a frame of an unknown type', [frame(0xfa, 0, 'x'), ...get()], asGet)
row('200', 'a window of nothing for what comes', [frame('settings', 0, setting(4, 0)), ...get()], asGet)

// Floods (RFC 9113 §10.5).
const many = (count: number, of: (n: number) => Buffer) => Array.from({ length: count }, (_, n) => of(n))
row('closed', 'CVE-2024-27316: CONTINUATION without end', [
  headers(1, pseudo(), endStream),
  ...many(100, () => frame('more', 1, block(['x', 'y'.repeat(1_000)]))),
])
row('closed', 'CVE-2024-27316: empty CONTINUATION without end', [
  headers(1, pseudo(), endStream),
  ...many(10_000, () => frame('more', 1)),
])
row('reset 11', 'a field of 4 kB that the block repeats 4,000 times', [
  frame(
    'headers',
    1,
    Buffer.concat([
      block(pseudo()),
      Buffer.of(0x40, 1, 0x78, 0x7f, 0xa1, 0x1e),
      Buffer.alloc(4_000, 'y'),
      Buffer.alloc(4_000, 0xbe),
    ]),
    endHeaders | endStream,
  ),
])
row('closed', 'CVE-2019-9518: empty DATA without end', post([], ...many(20_000, () => data('', 0))))
row(
  'closed',
  'CVE-2023-44487: streams that are reset as they begin',
  many(5_000, (n) => Buffer.concat([headers(2 * n + 1, pseudo()), frame('reset', 2 * n + 1, number(8))])),
  [],
  9_999,
)
row(
  'closed',
  'CVE-2025-8671: streams that the edge is made to reset',
  many(5_000, (n) => Buffer.concat([headers(2 * n + 1, pseudo()), frame('window', 2 * n + 1, number(0))])),
  [],
  9_999,
)
row(
  'closed',
  'streams far beyond what is allowed',
  many(2_000, (n) => headers(2 * n + 1, pseudo({ ':method': 'POST' }), endHeaders)),
  [],
  3_999,
)
for (const [what, each] of [
  ['CVE-2019-9512: PING', ping],
  ['CVE-2019-9515: SETTINGS', frame('settings', 0)],
] as const) {
  row('200', `900 ${what} at once`, [...many(900, () => each), ...get()], asGet)
  row('closed', `5,000 ${what} at once`, [...many(5_000, () => each), ...get()])
}

describe(`the table of raw HTTP/2, with ${rows.length} rows`, { timeout: 300_000 }, () => {
  const app = recorder()
  let edge: TestEdge

  before(async () => {
    edge = await TestEdge.start(app.reply)
    const hosts = [host, 'other.example.test']
    const { certificate: chain, key } = await (await TestAuthority.create()).issue({ names: hosts })
    edge.route({}, { certificates: [{ hosts, chain, key }] })
  })
  after(() => edge.close())

  for (const { what, frames, outcome, arrives, stream } of rows) {
    it(`${what}: ${outcome}`, async () => {
      app.forget()
      edge.app.forget()
      const client = await FrameClient.open(edge)
      client.send(...frames)
      const came = await client.outcome(stream)
      client.close()
      const other = await FrameClient.open(edge)
      other.send(headers(1, pseudo({ ':path': '/last' })))
      assert.equal(await other.outcome(1), '200')
      other.close()
      assert.equal(came, outcome)
      assert.deepEqual(app.whole, [...arrives, arrived('GET /last')])
    })
  }

  for (const [how, leave] of [
    ['an end of the connection', (client: FrameClient) => client.socket.end()],
    ['a reset of the connection', (client: FrameClient) => client.reset()],
    ['a reset of its stream, and not', (client: FrameClient) => client.send(frame('reset', 1, number(0)))],
  ] as const) {
    it(`A1: a body that ${how} cuts is not taken for whole`, async () => {
      edge.app.forget()
      const client = await FrameClient.open(edge)
      client.send(...post([], data('hello', 0)))
      await eventually('the app has some of it', () => edge.app.text.endsWith('5\r\nhello\r\n') || undefined)
      leave(client)
      await eventually('the app is let go', () => edge.app.connections[0]?.socket.destroyed || undefined)
      assert.match(edge.app.text, /5\r\nhello\r\n$/)
      assert.deepEqual(edge.table.inFlight(), {})
      client.close()
    })
  }

  it('CVE-2019-9512: a client that asks and asks and reads no answer loses its connection', async () => {
    const client = await FrameClient.open(edge)
    client.socket.pause()
    const pings = Buffer.concat(many(4_000, () => ping))
    for (let n = 0; n < 2_000 && !client.closed; n += 1)
      await new Promise((resolve) => client.socket.write(pings, resolve))
    await client.ended()
  })
})

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { TestAuthority } from '@rivetr/testing'
import { type RawApp, TestEdge } from './test-edge.ts'
import { recorder } from './test-recorder.ts'

/**
 * Every way that we know to make an edge and an app disagree about where a request ends, or whom it is for. After each
 * request comes another one for another app, in the same bytes: it is answered where the connection is kept, and has no
 * effect where it is closed.
 */
interface Row {
  readonly what: string
  readonly bytes: string
  /** Of all answers to it. */
  readonly statuses: readonly number[]
  /** What its app gets, byte for byte; undefined: nothing at all. */
  readonly arrives: string | undefined
  readonly kept: boolean
  /** Nothing follows it: it has no end, or says itself that it is the last. */
  readonly alone: boolean
  /** Undefined: over both. */
  readonly over?: 'http' | 'https'
}

const rows: Row[] = []
const host = 'Host: app.example.test\r\n'
const chunked = 'Transfer-Encoding: chunked\r\n'

/** The request is answered with the status, its app gets nothing, and what follows has no effect. */
function refused(status: number, what: string, bytes: string, more: Partial<Row> = {}): void {
  rows.push({ what, bytes, statuses: [status], arrives: undefined, kept: false, alone: false, ...more })
}

/** The request gets its app's 200, which sees `line`, `fields` and `body`. */
function taken(
  what: string,
  bytes: string,
  line: string,
  {
    fields = '',
    body = '',
    authority = 'app.example.test',
    kept = true,
    alone = false,
    ...more
  }: { fields?: string; body?: string; authority?: string } & Partial<Row> = {},
): void {
  const arrives =
    `${line} HTTP/1.1\r\nhost: ${authority}\r\nconnection: keep-alive\r\n${fields}` +
    `x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: ${authority}\r\nx-request-id: ~\r\n\r\n${body}`
  rows.push({ what, bytes, statuses: [200], arrives, kept, alone, ...more })
}

const get = (target: string, fields = '') => `GET ${target} HTTP/1.1\r\n${host}${fields}\r\n`
const post = (fields: string, body: string, version = '1.1') =>
  `POST /a HTTP/${version}\r\n${host}${fields}\r\n${body}`
const inChunks = (body: string) => post(chunked, body)
const forHost = (name: string) => `GET /a HTTP/1.1\r\nHost: ${name}\r\n\r\n`

// Where the body ends: Transfer-Encoding (RFC 9112 §6.1, §7).
const asChunked = { fields: 'transfer-encoding: chunked\r\n', body: '5\r\nhello\r\n0\r\n\r\n' }
const hello = '5\r\nhello\r\n0\r\n\r\n'
for (const coding of ['chunked', 'CHUNKED', '\tchunked'])
  taken(
    `Transfer-Encoding ${JSON.stringify(coding)}`,
    post(`Transfer-Encoding: ${coding}\r\n`, hello),
    'POST /a',
    asChunked,
  )
for (const coding of [
  'gzip, chunked',
  'identity, chunked',
  ',chunked',
  'gzip',
  'xchunked',
  'chun\\ked',
  '"chunked"',
  'chunked;q=1',
  'identity',
])
  refused(501, `Transfer-Encoding ${JSON.stringify(coding)}`, post(`Transfer-Encoding: ${coding}\r\n`, hello))
for (const coding of ['chunked, chunked', 'chunked, identity', '', '\x0bchunked', 'chunked\0', 'chunked \t'])
  refused(400, `Transfer-Encoding ${JSON.stringify(coding)}`, post(`Transfer-Encoding: ${coding}\r\n`, hello))
refused(400, 'two Transfer-Encodings', post(chunked + chunked, hello))
refused(400, 'Transfer-Encoding in HTTP/1.0', post(chunked, hello, '1.0'))
refused(400, 'Transfer-Encoding before a colon of its own', post('Transfer-Encoding : chunked\r\n', hello))
taken(
  'A1: Transfer-Encoding under another spelling',
  post('Transfer_Encoding: chunked\r\nContent-Length: 5\r\n', 'hello'),
  'POST /a',
  {
    fields: 'content-length: 5\r\n',
    body: 'hello',
  },
)
for (const method of ['GET', 'DELETE', 'OPTIONS', 'QUERY'])
  taken(
    `A1: ${method} in chunks`,
    `${method} /a HTTP/1.1\r\n${host}${chunked}\r\n${hello}`,
    `${method} /a`,
    asChunked,
  )
refused(400, 'Content-Length, then Transfer-Encoding', post(`Content-Length: 5\r\n${chunked}`, hello))
refused(400, 'Transfer-Encoding, then Content-Length', post(`${chunked}Content-Length: 5\r\n`, hello))

// Where the body ends: Content-Length (RFC 9112 §6.2, RFC 9110 §8.6).
const asLength = { fields: 'content-length: 5\r\n', body: 'hello' }
taken('Content-Length 5', post('Content-Length: 5\r\n', 'hello'), 'POST /a', asLength)
taken('Content-Length with spaces around', post('Content-Length:  5 \r\n', 'hello'), 'POST /a', asLength)
taken('a POST without framing', post('', ''), 'POST /a', { fields: 'content-length: 0\r\n' })
taken('a GET with a body', `GET /a HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nhello`, 'GET /a', asLength)
taken(
  'Content-Length under another spelling',
  post('Content_Length: 0\r\nContent.Length: 1\r\nContent-Length: 5\r\n', 'hello'),
  'POST /a',
  asLength,
)
taken(
  'Content-Length named in Connection',
  post('Connection: content-length\r\nContent-Length: 5\r\n', 'hello'),
  'POST /a',
  asLength,
)
for (const length of [
  '+5',
  '-5',
  '0x5',
  '5.0',
  '5e0',
  '5 5',
  '5, 5',
  '5;',
  '',
  '0b101',
  '18446744073709551621',
  '\x0b5',
])
  refused(400, `Content-Length ${JSON.stringify(length)}`, post(`Content-Length: ${length}\r\n`, 'hello'))
for (const length of ['9007199254740993', '1000000000000000'])
  refused(413, `Content-Length ${length}`, post(`Content-Length: ${length}\r\n`, 'hello'))
for (const second of ['5', '6', '0'])
  refused(
    400,
    `Content-Length 5 and ${second}`,
    post(`Content-Length: 5\r\nContent-Length: ${second}\r\n`, 'hello'),
  )

// Chunks (RFC 9112 §7.1): what began is cut off, so that no app takes it for whole.
taken('a chunk size with zeros before it', inChunks('0005\r\nhello\r\n0\r\n\r\n'), 'POST /a', asChunked)
taken('extensions of chunks', inChunks('5;a=b;c="d;e"\r\nhello\r\n0;x\r\n\r\n'), 'POST /a', asChunked)
taken(
  'A16: trailers, and what announces them',
  post(`Trailer: X-Sum, X-More\r\n${chunked}`, '5\r\nhello\r\n0\r\nX-Sum: 1\r\nx-more: 2\r\n\r\n'),
  'POST /a',
  {
    fields: `Trailer: X-Sum, X-More\r\n${asChunked.fields}`,
    body: '5\r\nhello\r\n0\r\nX-Sum: 1\r\nx-more: 2\r\n\r\n',
  },
)
taken(
  'trailers that name the client and whom it is for, or belong before a body',
  inChunks(
    '5\r\nhello\r\n0\r\nHost: x\r\nX-Forwarded-For: 6.6.6.6\r\nX_Real_IP: 6.6.6.6\r\nAuthorization: Basic eA==\r\nCookie: a\r\n' +
      'Content-Type: x\r\nContent_Length: 9\r\nIf-Match: x\r\nTE: trailers\r\nExpect: x\r\nX-Request-Id: 6\r\n\r\n',
  ),
  'POST /a',
  asChunked,
)
taken('Trailer without chunks', post('Trailer: X-Sum\r\nContent-Length: 5\r\n', 'hello'), 'POST /a', {
  fields: 'content-length: 5\r\n',
  body: 'hello',
})
for (const [what, body] of [
  ['a chunk size in hex notation', '0x5\r\nhello\r\n0\r\n\r\n'],
  ['a chunk size with a sign', '+5\r\nhello\r\n0\r\n\r\n'],
  ['a negative chunk size', '-5\r\nhello\r\n0\r\n\r\n'],
  ['a space before a chunk size', ' 5\r\nhello\r\n0\r\n\r\n'],
  ['a space after a chunk size', '5 \r\nhello\r\n0\r\n\r\n'],
  ['a tab after a chunk size', '5\t\r\nhello\r\n0\r\n\r\n'],
  ['a chunk size beyond 2^64', '10000000000000005\r\nhello\r\n0\r\n\r\n'],
  ['a chunk size of no digits', '\r\nhello\r\n0\r\n\r\n'],
  ['a chunk size of other digits', '5g\r\nhello\r\n0\r\n\r\n'],
  ['a chunk that ends too late', '4\r\nhello\r\n0\r\n\r\n'],
  ['a chunk that ends nowhere', '5\r\nhello0\r\n\r\n'],
  ['a line feed alone after a chunk size', '5\nhello\r\n0\r\n\r\n'],
  ['a carriage return alone after a chunk size', '5\rhello\r\n0\r\n\r\n'],
  ['a line feed alone after a chunk', '5\r\nhello\n0\r\n\r\n'],
  ['line feeds alone after the last chunk', '5\r\nhello\r\n0\n\n'],
  ['a line feed alone in an extension', '5;a\nhello\r\n0\r\n\r\n'],
  ['a carriage return alone in an extension', '5;a\rb\r\nhello\r\n0\r\n\r\n'],
  ['a quoted line break in an extension', '5;a="\r\n"\r\nhello\r\n0\r\n\r\n'],
  ['a trailer that is folded', '5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n'],
  ['a trailer Content-Length', '5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n'],
  ['a trailer Transfer-Encoding', '5\r\nhello\r\n0\r\nTransfer-Encoding: gzip\r\n\r\n'],
] as const)
  refused(400, what, inChunks(body))
refused(413, 'a chunk extension of 20 kB', inChunks(`5;${'a'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n`))
taken(
  'twenty chunk extensions of 2 kB',
  inChunks(`${`1;${'a'.repeat(2_000)}\r\nh\r\n`.repeat(20)}0\r\n\r\n`),
  'POST /a',
  { ...asChunked, body: `${'1\r\nh\r\n'.repeat(20)}0\r\n\r\n` },
)
refused(431, 'trailers of 17 kB', inChunks(`5\r\nhello\r\n0\r\nX: ${'x'.repeat(17_000)}\r\n\r\n`))

// The head: lines, names and values (RFC 9112 §2.2, §5; RFC 9110 §5.5).
taken('values with all that is allowed', get('/a', 'X: !"~\xff\t\xa0z\r\nY:\r\n'), 'GET /a', {
  fields: 'X: !"~\xff\t\xa0z\r\nY: \r\n',
})
taken('empty lines before it', `\r\n\r\n${get('/a')}`, 'GET /a')
for (const [what, fields] of [
  ['a carriage return alone', 'X: a\rb\r\n'],
  ['a carriage return alone before a field', 'X: a\rHost: x\r\n'],
  ['a line feed alone', 'X: a\nY: b\r\n'],
  ['NUL', 'X: a\0b\r\n'],
  ['a control character', 'X: a\x01b\r\n'],
  ['DEL', 'X: a\x7fb\r\n'],
  ['a folded field', 'X: a\r\n b\r\n'],
  ['a folded field with a tab', 'X: a\r\n\tb\r\n'],
  ['a folded empty line', 'X: a\r\n \r\n'],
  ['a space before the colon', 'X : a\r\n'],
  ['a tab before the colon', 'X\t: a\r\n'],
  ['a name with NUL', 'X\0: a\r\n'],
  ['a name that is no token', 'X(): a\r\n'],
  ['a name beyond ASCII', 'X\xff: a\r\n'],
  ['no name', ': a\r\n'],
  ['no colon', 'X\r\n'],
] as const)
  refused(400, `in the fields: ${what}`, get('/a', fields))
refused(400, 'a folded first field', `GET /a HTTP/1.1\r\n ${host}\r\n`)
refused(400, 'line feeds alone', 'GET /a HTTP/1.1\nHost: app.example.test\n\n')
refused(400, 'a line feed alone after the request line', `GET /a HTTP/1.1\n${host}\r\n`)
refused(400, 'a line feed alone after a field', 'GET /a HTTP/1.1\r\nHost: app.example.test\n\r\n')
refused(400, 'a line feed alone for the empty line', `GET /a HTTP/1.1\r\n${host}\n`)
refused(400, 'a carriage return alone for the empty line', `GET /a HTTP/1.1\r\n${host}\r`)
refused(431, '201 fields', get('/a', 'a:\r\n'.repeat(200)))
refused(
  431,
  'Content-Length behind 1,500 fields',
  `POST /a HTTP/1.1\r\n${host}${'a:\r\n'.repeat(1_500)}Content-Length: 5\r\n\r\nhello`,
)
refused(
  431,
  'Content-Length behind 5,000 fields',
  `POST /a HTTP/1.1\r\n${host}${'a:\r\n'.repeat(5_000)}Content-Length: 5\r\n\r\nhello`,
)
refused(431, 'fields of 17 kB', get('/a', `X: ${'x'.repeat(17_000)}\r\n`))
refused(431, 'a target of 20 kB', get(`/${'a'.repeat(20_000)}`))

// The request line: method, target, version (RFC 9112 §2.3, §3).
for (const version of ['0.9', '2.0']) refused(505, `HTTP/${version}`, `GET /a HTTP/${version}\r\n${host}\r\n`)
for (const version of [
  'HTTP/1.2',
  'HTTP/3.0',
  'HTTP/1.10',
  'HTTP/01.1',
  'HTTP/1',
  'http/1.1',
  'ICE/1.0',
  'HTTP/1.1 ',
  'x HTTP/1.1',
])
  refused(400, `version ${JSON.stringify(version)}`, `GET /a ${version}\r\n${host}\r\n`)
refused(505, 'no version', `GET /a\r\n${host}\r\n`)
for (const method of ['get', 'FOO', 'G\0T', ' GET', 'DESCRIBE'])
  refused(400, `method ${JSON.stringify(method)}`, `${method} /a HTTP/1.1\r\n${host}\r\n`)
refused(400, 'a tab after the method', `GET\t/a HTTP/1.1\r\n${host}\r\n`)
refused(405, 'TRACE', `TRACE /a HTTP/1.1\r\n${host}\r\n`)
refused(405, 'CONNECT to a host', `CONNECT app.example.test:80 HTTP/1.1\r\n${host}\r\n`)
refused(405, 'CONNECT to a path', `CONNECT /a HTTP/1.1\r\n${host}\r\n`)
taken('an uncommon method', `PROPFIND /a HTTP/1.1\r\n${host}\r\n`, 'PROPFIND /a')
for (const target of [
  '/a#b',
  '/#',
  '*',
  '*a',
  '/*#',
  'ftp://app.example.test/',
  'ws://app.example.test/',
  'http:///a',
  'http://',
  'http://:80/',
  'http://u@app.example.test/a',
  'http://other.example.test@app.example.test/a',
  'http://app.example.test:80@other.example.test/a',
  'http://app.example.test:99999/a',
  'http://app.example.test#@x/',
  'http://app.example.test\\@x/',
  'http:/a',
  'http:a',
  'a',
  'app.example.test:80',
  '?a',
  '',
  '/a\0b',
  '/a\tb',
  '/a\x7f',
  '/a b',
  '\\a',
  '/\xc3\xa9',
])
  refused(400, `target ${JSON.stringify(target)}`, get(target))
refused(400, 'OPTIONS *a', `OPTIONS *a HTTP/1.1\r\n${host}\r\n`)
rows.push({
  what: 'A16: OPTIONS *',
  bytes: `OPTIONS * HTTP/1.1\r\n${host}\r\n`,
  statuses: [204],
  arrives: undefined,
  kept: true,
  alone: false,
})
for (const target of [
  '/a//b?u=http://x//y',
  '//evil.example.test/x',
  '/a/%2F/b',
  '/a/%2e%2e/b',
  '/a/../b',
  '/x?a=b?c',
  '/x?',
  '/%',
  '/a\\b',
  '/a;b',
  '/"<>^`{|}',
  '/*',
  '/http://x',
])
  taken(`A16: target ${target}`, get(target), `GET ${target}`)

// Whom it is for (RFC 9112 §3.2, RFC 9110 §7.2).
for (const name of [
  'app.example.test',
  'APP.EXAMPLE.TEST',
  'app.example.test:8443',
  'app.example.test:',
  'app.example.test.',
  'app.example.test.:443',
  ' app.example.test\t',
])
  taken(`A11: Host ${JSON.stringify(name)}`, forHost(name), 'GET /a', { authority: name.trim() })
for (const name of [
  '',
  ' ',
  'a b',
  'app.example.test other.example.test',
  'app.example.test,other.example.test',
  'u@app.example.test',
  'app.example.test@other.example.test',
  'app.example.test:80:80',
  'app.example.test:x',
  'app.example.test:-1',
  'app.example.test:65536',
  'app.example.test:000080',
  ':80',
  '[::1',
  '::1',
  '[::1]x',
  '[::1]:x',
  '[g::]',
  '[]',
  '[fe80::1%25e]',
  '[v1.a]',
  '[127.0.0.1]',
  'app.example.test..',
  '.app.example.test',
  'app..example.test',
  '.',
  '..',
  'app.example.test/',
  'app.example.test/a',
  'app.example.test?',
  'app.example.test#',
  'app.example.test\\',
  'app.example.test%00',
  'app.example.test%2e',
  "app.example.test'",
  '"app.example.test"',
  'http://app.example.test',
  'app\xe9.example.test',
  '*.example.test',
  '(app)',
])
  refused(400, `A11: Host ${JSON.stringify(name)}`, forHost(name))
refused(400, 'A11: no Host', 'GET /a HTTP/1.1\r\n\r\n')
refused(400, 'A11: no Host, but another spelling', 'GET /a HTTP/1.1\r\nHo-st: app.example.test\r\n\r\n')
for (const second of ['app.example.test', 'other.example.test', ''])
  refused(400, `A11: a second Host ${JSON.stringify(second)}`, get('/a', `Host: ${second}\r\n`))
refused(400, 'A11: a second host in other letters', get('/a', 'hOST: other.example.test\r\n'))
refused(400, 'A11: Host behind a colon of its own', 'GET /a HTTP/1.1\r\nHost : app.example.test\r\n\r\n')
taken('A11: Host named in Connection', get('/a', 'Connection: host\r\n'), 'GET /a')
for (const target of [
  'http://app.example.test/a',
  'HTTP://app.example.test/a',
  'http://APP.example.test:80/a',
])
  taken(
    `A11: ${target}, whatever Host says`,
    `GET ${target} HTTP/1.1\r\nHost: other.example.test\r\n\r\n`,
    'GET /a',
    { authority: target.split('/')[2] as string },
  )
taken(
  'an address without a path',
  'GET http://app.example.test HTTP/1.1\r\nHost: app.example.test\r\n\r\n',
  'GET /',
)
taken('an address with a query alone', get('http://app.example.test?a'), 'GET /?a')
refused(400, 'an address without Host', 'GET http://app.example.test/a HTTP/1.1\r\n\r\n')
refused(400, 'an address and a broken Host', 'GET http://app.example.test/a HTTP/1.1\r\nHost: a b\r\n\r\n')
refused(421, 'an https address', get('https://app.example.test/a'), { over: 'http' })
taken('an https address', get('https://app.example.test/a'), 'GET /a', { over: 'https' })
for (const [name, status] of [
  ['unknown.example.test', 404],
  ['127.0.0.1', 404],
  ['[2001:db8::1]:8080', 404],
  ['my_app.example.test', 404],
] as const)
  rows.push({
    what: `A11: Host ${name}`,
    bytes: forHost(name),
    statuses: [status],
    arrives: undefined,
    kept: true,
    alone: false,
  })

// Fields that are the proxy's own, or for one connection (RFC 9110 §7.6.1).
taken(
  'A10: the word of the proxy under other spellings',
  get(
    '/a',
    'X_Forwarded_For: 6.6.6.6\r\nX_FORWARDED_PROTO: https\r\nx.forwarded.host: evil\r\nX-Forwarded_Port: 1\r\nX_Real_IP: 6.6.6.6\r\nX_Request_Id: 6\r\nX_My_Field: kept\r\n',
  ),
  'GET /a',
  { fields: 'X_My_Field: kept\r\n' },
)
taken(
  'A10: the word of the proxy named in Connection',
  get(
    '/a',
    'Connection: x-forwarded-for, x-forwarded-host, x-forwarded-proto, x-request-id, host, te\r\nX-Forwarded-For: 6.6.6.6\r\n',
  ),
  'GET /a',
)
taken(
  'A8: fields named in Connection',
  get(
    '/a',
    'Connection: ,, X-Secret ,\r\nX-Secret: 1\r\nProxy_Connection: x\r\nKeep-Alive: 9\r\nTE: trailers\r\n',
  ),
  'GET /a',
)

// Expectations (RFC 9110 §10.1.1), upgrades (§7.8).
for (const expectation of [
  'x',
  '100',
  'x, 100-continue',
  '100-continue, 100-continue',
  '100-continue;a=b',
  '',
])
  refused(
    417,
    `Expect ${JSON.stringify(expectation)}`,
    post(`Expect: ${expectation}\r\nContent-Length: 5\r\n`, 'hello'),
  )
taken('Expect without a body', get('/a', 'Expect: 100-continue\r\n'), 'GET /a', { kept: false })
taken(
  'Expect in HTTP/1.0',
  post('Expect: 100-continue\r\nContent-Length: 5\r\nConnection: keep-alive\r\n', 'hello', '1.0'),
  'POST /a',
  { ...asLength },
)
const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'
const asPlain = { fields: 'Sec-WebSocket-Version: 13\r\n', kept: false }
taken('an upgrade in HTTP/1.0', `GET /a HTTP/1.0\r\n${host}${upgrade}\r\n`, 'GET /a', {
  ...asPlain,
  alone: true,
})
taken('an upgrade with a body', `${get('/a', `${upgrade}Content-Length: 5\r\n`)}hello`, 'GET /a', {
  ...asPlain,
  fields: `${asPlain.fields}content-length: 5\r\n`,
  body: 'hello',
})
taken('an upgrade in chunks', get('/a', upgrade + chunked) + hello, 'GET /a', {
  ...asPlain,
  fields: `${asPlain.fields}transfer-encoding: chunked\r\n`,
  body: hello,
})
taken('an upgrade by POST', post(`${upgrade}Content-Length: 0\r\n`, ''), 'POST /a', {
  ...asPlain,
  fields: `${asPlain.fields}content-length: 0\r\n`,
})
taken(
  'A16: an upgrade to h2c',
  get('/a', 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n'),
  'GET /a',
  { kept: false },
)
taken('an upgrade to two protocols', get('/a', `${upgrade}Upgrade: h2c\r\n`), 'GET /a', asPlain)
taken('an upgrade that Connection does not name', get('/a', 'Upgrade: websocket\r\n'), 'GET /a', {
  kept: false,
})
refused(400, 'an upgrade for two hosts', get('/a', `${upgrade}Host: other.example.test\r\n`))
refused(400, 'an upgrade with a fragment', get('/a#b', upgrade))
refused(400, 'the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

// HTTP/1.0.
taken('HTTP/1.0', `GET /a HTTP/1.0\r\n${host}\r\n`, 'GET /a', { kept: false, alone: true })
taken('HTTP/1.0 that wants to be kept', `GET /a HTTP/1.0\r\n${host}Connection: keep-alive\r\n\r\n`, 'GET /a')
taken('HTTP/1.1 that is the last', get('/a', 'Connection: close\r\n'), 'GET /a', { kept: false, alone: true })
refused(404, 'A11: HTTP/1.0 without Host', 'GET /a HTTP/1.0\r\n\r\n', { alone: true })
refused(400, 'A11: HTTP/1.0 with a broken Host', 'GET /a HTTP/1.0\r\nHost: a b\r\n\r\n', {
  alone: true,
})

for (const scheme of ['http', 'https'] as const) {
  const table = rows.filter(({ over = scheme }) => over === scheme)
  describe(`the table of raw requests over ${scheme}, with ${table.length} rows`, {
    timeout: 300_000,
  }, () => {
    const app = recorder()
    const next = recorder()
    let edge: TestEdge
    let nextApp: RawApp

    before(async () => {
      edge = await TestEdge.start(app.reply)
      const { certificate: chain, key } = await (await TestAuthority.create()).issue({ names: ['x.test'] })
      nextApp = await edge.addNext(next.reply, { fallback: { chain, key } })
    })
    after(async () => {
      await nextApp.close()
      await edge.close()
    })

    const nextRequest = (path: string) => `GET ${path} HTTP/1.1\r\nHost: next.example.test\r\n\r\n`
    const statusesOf = (text: string) =>
      [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))

    for (const row of table) {
      const { what, bytes, statuses, kept, alone } = row
      const arrives = row.arrives?.replace(
        '\r\nx-forwarded-proto: http\r\n',
        `\r\nx-forwarded-proto: ${scheme}\r\n`,
      )
      it(`${what}: ${statuses}, ${kept ? 'kept' : 'closed'}`, async () => {
        app.forget()
        next.forget()
        const client = scheme === 'http' ? edge.client() : await edge.secureClient()
        client.send(alone ? bytes : bytes + nextRequest('/next'))
        if (kept) await client.received(/\r\n\r\nnext$/)
        else await client.ended()
        const closed = client.closed
        client.socket.destroy()
        // Whatever else the edge had sent on arrives before this.
        await edge.exchange(nextRequest('/last'), /\r\n\r\nnext$/)
        assert.deepEqual(statusesOf(client.text), kept ? [...statuses, 200] : statuses, client.text)
        assert.equal(closed, !kept)
        assert.deepEqual(app.whole, arrives === undefined ? [] : [arrives])
        assert.deepEqual(
          next.whole.map((request) => request.split(' ', 2)[1]),
          kept ? ['/next', '/last'] : ['/last'],
        )
      })
    }
  })
}

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ResponseParser } from './response-parser.ts'

/** What was found, as lines; bodies are put together. */
function parserWithLog(noBody = false) {
  const log: string[] = []
  let body = ''
  const parser = new ResponseParser({
    onBegin: () => true,
    onHead: (status, reason, fields, keepAlive) => {
      log.push(`${status} ${reason} ${fields.join('|')} ${keepAlive}`)
      return noBody ? 'no body' : 'its body'
    },
    onBody: (bytes, start, end) => {
      body += bytes.toString('latin1', start, end)
    },
    onEnd: () => {
      log.push(`end ${body}`)
      body = ''
    },
  })
  return { parser, log }
}

const answers: readonly [string, string, readonly string[]][] = [
  [
    'a length',
    'HTTP/1.1 200 All Good\r\nContent-Length: 5\r\nX-Empty:\r\nX-A: \xff\r\n\r\nhello',
    ['200 All Good Content-Length|5|X-Empty||X-A|\xff true', 'end hello'],
  ],
  [
    'chunks and trailers',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nX-Trailer: 1\r\n\r\n',
    ['200 OK Transfer-Encoding|chunked true', 'end hello'],
  ],
  [
    'an interim answer before it',
    'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    ['103 Early Hints Link|</a> true', 'end ', '200 OK Content-Length|0 true', 'end '],
  ],
  [
    'two answers',
    'HTTP/1.1 204 None\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx',
    ['204 None  true', 'end ', '200 OK Connection|close|Content-Length|1 false', 'end x'],
  ],
]

describe('the parser of answers', () => {
  for (const [what, bytes, expected] of answers) {
    it(`finds the same in an answer with ${what}, whole and byte for byte`, () => {
      const whole = parserWithLog()
      assert.equal(whole.parser.parse(Buffer.from(bytes, 'latin1')), true)
      const torn = parserWithLog()
      for (const byte of bytes) assert.equal(torn.parser.parse(Buffer.from(byte, 'latin1')), true)
      for (const { parser, log } of [whole, torn]) {
        assert.deepEqual(log, expected)
        parser.close()
      }
    })
  }
  it('takes the end of the connection for the end of an answer that nothing else ends', () => {
    const { parser, log } = parserWithLog()
    assert.equal(parser.parse(Buffer.from('HTTP/1.0 200 OK\r\n\r\nhello')), true)
    assert.equal(parser.finish(), true)
    assert.deepEqual(log, ['200 OK  false', 'end hello'])
    parser.close()
  })
  it('says that an answer was cut', () => {
    const { parser } = parserWithLog()
    assert.equal(parser.parse(Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello')), true)
    assert.equal(parser.finish(), false)
    parser.close()
  })
  it('reads no body where there is none, whatever the fields say', () => {
    const { parser, log } = parserWithLog(true)
    assert.equal(parser.parse(Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n')), true)
    assert.deepEqual(log.at(-1), 'end ')
    parser.close()
  })
  for (const [what, bytes] of [
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx'],
    [
      'a length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a bare line feed in a field', 'HTTP/1.1 200 OK\r\nX: a\nb\r\n\r\n'],
    [
      'a switch of protocols that nobody asked for',
      'HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
    ],
    ['more than 64 KiB of fields', `HTTP/1.1 200 OK\r\n${`X-Big: ${'x'.repeat(8_000)}\r\n`.repeat(9)}\r\n`],
    ['no HTTP', 'SSH-2.0-x\r\n\r\n'],
  ] as const) {
    it(`refuses ${what}`, () => {
      const { parser } = parserWithLog()
      const chunks = bytes.match(/[\s\S]{1,16384}/g) ?? []
      assert.equal(
        chunks.every((chunk) => parser.parse(Buffer.from(chunk, 'latin1'))),
        false,
      )
      parser.close()
    })
  }
  it('goes on when its memory has grown for many connections', () => {
    const parsers = Array.from({ length: 4_000 }, () => parserWithLog())
    for (const { parser } of parsers)
      assert.equal(parser.parse(Buffer.from('HTTP/1.1 200 OK\r\nContent-')), true)
    for (const { parser, log } of parsers) {
      assert.equal(parser.parse(Buffer.from('Length: 2\r\n\r\nok')), true)
      assert.equal(log.at(-1), 'end ok')
      parser.close()
    }
  })
})

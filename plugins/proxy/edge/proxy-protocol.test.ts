import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { proxyConfig } from '../config.ts'
import { parseProxyHeader } from './proxy-header.ts'
import { answerOk, TestEdge } from './test-edge.ts'

const signature = '\r\n\r\n\0\r\nQUIT\n'
const request = 'GET / HTTP/1.1\r\nHost: app.example.test\r\n\r\n'

/** A header of version 2: version and command, family and protocol, and what follows. */
function binary(versionCommand: number, family: number, rest: string, length = rest.length / 2): string {
  const head = Buffer.from([versionCommand, family, length >> 8, length & 0xff]).toString('latin1')
  return signature + head + Buffer.from(rest, 'hex').toString('latin1')
}

/** 192.0.2.7 to 10.0.0.1, two ports; the same from 2001:db8::9, and as IPv4 in IPv6. */
const ipv4 = 'c00002070a000001d4310050'
const ipv6 = '20010db800000000000000000000000920010db8000000000000000000000001d4310050'
const mappedIpv4 = '00000000000000000000ffffc000020700000000000000000000ffff0a000001d4310050'

const heads: readonly (readonly [name: string, header: string, client: string])[] = [
  ['version 1', 'PROXY TCP4 192.0.2.7 10.0.0.1 54321 80\r\n', '192.0.2.7'],
  ['version 1, IPv6', 'PROXY TCP6 2001:DB8:0:0:0:0:0:9 2001:db8::1 54321 80\r\n', '2001:db8::9'],
  ['version 1, IPv4 in IPv6', 'PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n', '192.0.2.7'],
  ['version 1, not known', 'PROXY UNKNOWN\r\n', '127.0.0.1'],
  ['version 1, not known with addresses', 'PROXY UNKNOWN 192.0.2.7 ff 1 2\r\n', '127.0.0.1'],
  ['version 2', binary(0x21, 0x11, ipv4), '192.0.2.7'],
  ['version 2, IPv6', binary(0x21, 0x21, ipv6), '2001:db8::9'],
  ['version 2, IPv4 in IPv6', binary(0x21, 0x21, mappedIpv4), '192.0.2.7'],
  ['version 2 with more than addresses', binary(0x21, 0x11, `${ipv4}040003aabbcc`), '192.0.2.7'],
  ['version 2, of the proxy itself', binary(0x20, 0x00, ''), '127.0.0.1'],
  ['version 2, of the proxy itself with addresses', binary(0x20, 0x11, ipv4), '127.0.0.1'],
  ['version 2, of no family', binary(0x21, 0x00, 'abcd'), '127.0.0.1'],
  ['version 2, of a unix socket', binary(0x21, 0x31, '00'.repeat(216)), '127.0.0.1'],
]

const faults: readonly (readonly [name: string, header: string])[] = [
  ['no header', ''],
  ['version 1 in other case', 'proxy TCP4 192.0.2.7 10.0.0.1 1 2\r\n'],
  ['version 1 of another family', 'PROXY UDP4 192.0.2.7 10.0.0.1 1 2\r\n'],
  ['version 1 with no address', 'PROXY TCP4 example.test 10.0.0.1 1 2\r\n'],
  ['version 1 with an address of the other family', 'PROXY TCP4 ::1 ::1 1 2\r\n'],
  ['version 1 with a port that is none', 'PROXY TCP4 192.0.2.7 10.0.0.1 1 65536\r\n'],
  ['version 1 with a field too few', 'PROXY TCP4 192.0.2.7 10.0.0.1 1\r\n'],
  ['version 1 with two spaces', 'PROXY TCP4  192.0.2.7 10.0.0.1 1 2\r\n'],
  ['version 1 without CR', 'PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n'],
  ['version 1 that is too long', `PROXY UNKNOWN ${'x'.repeat(100)}\r\n`],
  ['version 2 with a broken signature', `${signature.replace('QUIT', 'EXIT')}!\x11\0\0`],
  ['version 3', binary(0x31, 0x11, ipv4)],
  ['version 2 of another command', binary(0x22, 0x11, ipv4)],
  ['version 2 that ends within its addresses', binary(0x21, 0x11, 'c0000207')],
  ['version 2 that is too long', binary(0x21, 0x11, ipv4, 4_081)],
]

describe('the PROXY protocol', { timeout: 60_000 }, () => {
  let edge: TestEdge | undefined
  const start = async (trusted = '127.0.0.0/8') => {
    edge = await TestEdge.start(answerOk, { proxyProtocol: true, trustedProxies: [trusted] })
    return edge
  }
  afterEach(async () => {
    await edge?.close()
    edge = undefined
  })

  for (const [name, header, client] of heads) {
    it(`${name}: the app learns of ${client}`, async () => {
      const { app } = await start()
      assert.match(await (edge as TestEdge).exchange(header + request), /^HTTP\/1.1 200 /)
      assert.equal(/\r\nx-forwarded-for: (.*)\r\n/.exec(app.text)?.[1], client)
    })
  }

  for (const [name, header] of faults) {
    it(`${name}: the connection is closed, and nothing comes of it`, async () => {
      const { app } = await start()
      const client = (edge as TestEdge).client()
      client.send(header + request)
      await client.ended()
      assert.equal(client.closed, true)
      assert.equal(client.text + app.text, '')
    })
  }

  it('a header of somebody whom nobody trusts: the connection is closed', async () => {
    const { app } = await start('192.0.2.1')
    const client = (edge as TestEdge).client()
    client.send(heads[0]?.[1] + request)
    await client.ended()
    assert.equal(client.closed, true)
    assert.equal(client.text + app.text, '')
  })

  it('a header that comes byte by byte, and several requests after it', async () => {
    const { app } = await start()
    for (const header of [heads[0]?.[1], heads[5]?.[1]] as string[]) {
      const client = (edge as TestEdge).client()
      client.socket.setNoDelay(true)
      for (const byte of header + request) {
        client.send(byte)
        await new Promise((resolve) => setImmediate(resolve))
      }
      await client.received(/ok$/)
      client.send(request)
      await client.received(/ok[\s\S]*ok$/)
      client.socket.destroy()
    }
    assert.equal(app.text.match(/\r\nx-forwarded-for: 192\.0\.2\.7\r\n/g)?.length, 4)
  })

  it('a header and a WebSocket', async () => {
    const { app } = await start()
    const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
    const client = (edge as TestEdge).client()
    client.send(`${heads[0]?.[1]}GET / HTTP/1.1\r\nHost: app.example.test\r\n${upgrade}`)
    await client.received(/^HTTP/)
    client.socket.destroy()
    assert.match(app.text, /\r\nx-forwarded-for: 192\.0\.2\.7\r\n/)
  })

  it('every beginning of a header may become one', () => {
    for (const [name, header] of heads) {
      const bytes = Buffer.from(header, 'latin1')
      for (let length = 0; length < bytes.length; length += 1)
        assert.equal(parseProxyHeader(bytes.subarray(0, length)), 'more', `${name}: ${length} bytes`)
    }
  })

  it('is not to be had without an address to trust', () => {
    assert.equal(proxyConfig.safeParse({ proxyProtocol: true }).success, false)
  })
})

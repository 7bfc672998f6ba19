import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { describe, test } from 'node:test'
import { TrustedProxies } from './forwarding.ts'
import { peerOf } from './proxy-protocol.ts'

const trusted = ['10.0.0.0/8', '192.168.1.1', '2001:db8::/32']

describe('A10: who a request is from', () => {
  for (const [what, from, sent, client, told] of [
    ['a stranger that claims nothing', '203.0.113.9', undefined, '203.0.113.9', '203.0.113.9'],
    ['a stranger that claims another address', '203.0.113.9', '6.6.6.6', '203.0.113.9', '203.0.113.9'],
    ['a stranger that claims a trusted one', '203.0.113.9', '10.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['a trusted proxy', '10.0.0.1', '6.6.6.6', '6.6.6.6', '6.6.6.6, 10.0.0.1'],
    [
      'a trusted proxy on a socket of both families',
      '::ffff:10.0.0.1',
      '6.6.6.6',
      '6.6.6.6',
      '6.6.6.6, 10.0.0.1',
    ],
    [
      'a stranger on a socket of both families',
      '::ffff:203.0.113.9',
      '6.6.6.6',
      '203.0.113.9',
      '203.0.113.9',
    ],
    ['a trusted proxy that names nobody', '10.0.0.1', undefined, '10.0.0.1', '10.0.0.1'],
    ['a trusted proxy that names only commas', '10.0.0.1', ', ,,', '10.0.0.1', '10.0.0.1'],
    [
      'a chain of trusted proxies',
      '10.0.0.1',
      '6.6.6.6, 192.168.1.1',
      '6.6.6.6',
      '6.6.6.6, 192.168.1.1, 10.0.0.1',
    ],
    [
      'a chain with what the client made up',
      '10.0.0.1',
      '1.1.1.1, 6.6.6.6, 192.168.1.1',
      '6.6.6.6',
      '6.6.6.6, 192.168.1.1, 10.0.0.1',
    ],
    [
      'a chain with an IPv4 address as IPv6',
      '10.0.0.1',
      '6.6.6.6, ::ffff:192.168.1.1',
      '6.6.6.6',
      '6.6.6.6, 192.168.1.1, 10.0.0.1',
    ],
    ['a trusted proxy by IPv6', '2001:db8::7', '6.6.6.6', '6.6.6.6', '6.6.6.6, 2001:db8::7'],
    ['a neighbour of a trusted address', '192.168.1.2', '6.6.6.6', '192.168.1.2', '192.168.1.2'],
  ] as const) {
    test(`A10: ${what}`, () => {
      const proxies = new TrustedProxies(trusted)
      const peer = peerOf({ remoteAddress: from } as Socket)
      assert.equal(proxies.clientOf(peer, sent), client)
      const fields = { for: sent, proto: 'https', host: 'evil.example.test' }
      const isTrusted = told !== peer || from.startsWith('10.')
      assert.deepEqual(proxies.fieldsFor(peer, 'http', 'app.example.test', fields), {
        for: told,
        proto: isTrusted ? 'https' : 'http',
        host: isTrusted ? 'evil.example.test' : 'app.example.test',
      })
    })
  }

  test('A10: nobody is trusted where nobody is named', () => {
    const proxies = new TrustedProxies([])
    assert.equal(proxies.clientOf('127.0.0.1', '6.6.6.6'), '127.0.0.1')
  })
})

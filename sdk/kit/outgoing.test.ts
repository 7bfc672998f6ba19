import assert from 'node:assert/strict'
import type { lookup as lookupName } from 'node:dns'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, isIP } from 'node:net'
import { test } from 'node:test'
import { AddressRefused, isNetwork, Outgoing } from './outgoing.ts'

const refusedUrls = [
  ...[
    'http://127.0.0.1',
    'http://2130706433',
    'http://0x7f.1',
    'http://0177.0.0.1',
    'http://[::1]',
    'http://0.0.0.0',
  ],
  ...[
    'http://[::ffff:127.0.0.1]',
    'http://[::ffff:7f00:1]',
    'http://[64:ff9b::7f00:1]',
    'http://[2002:7f00:1::]',
  ],
  ...['http://169.254.169.254', 'http://100.64.0.1', 'http://[fd00::1]', 'http://localhost'],
  ...[
    'http://10.1.2.3',
    'http://172.31.255.255',
    'http://192.168.1.1',
    'http://user@127.0.0.1',
    'http://[fe80::1]',
  ],
  ...['http://[64:ff9b::a9fe:a9fe]', 'http://[::127.0.0.1]', 'http://255.255.255.255', 'http://224.0.0.1'],
]
for (const url of refusedUrls)
  test(`I10: ${url} is not dialled`, () =>
    assert.rejects(new Outgoing([]).request(new URL(url)), (error) => error instanceof AddressRefused))

for (const host of ['fe80::1%eth0', '0x7f.1', '2130706433', '::ffff:127.0.0.1'])
  test(`I10: ${host} is not dialled as a bare host`, () =>
    assert.rejects(new Outgoing([]).connect({ host, port: 1 }), (error) => error instanceof AddressRefused))

test('public addresses may be dialled', () => {
  for (const address of [
    '1.1.1.1',
    '172.32.0.1',
    '100.128.0.1',
    '2606:4700::1111',
    '64:ff9b::101:101',
    '::ffff:8.8.8.8',
  ])
    assert.ok(new Outgoing([]).permits(address), address)
})

test('what is allowed may be dialled, and nothing beside it', async () => {
  const server = createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const answer = await new Outgoing(['127.0.0.0/8']).request(new URL(`http://localhost:${port}`))
  assert.equal(answer.statusCode, 200)
  answer.resume()
  const outgoing = new Outgoing(['10.0.0.7', 'fd00::/8'])
  assert.deepEqual(
    ['10.0.0.7', '10.0.0.8', 'fd00::1', 'fe80::1', '::ffff:10.0.0.7'].map((address) =>
      outgoing.permits(address),
    ),
    [true, false, true, false, true],
  )
  server.close()
})

/** A name server whose answers are these, one after the other. */
function names(...answers: readonly (readonly string[])[]) {
  const asked: string[] = []
  const lookup = (host: string, _: unknown, done: (error: null, found: object[]) => void) => {
    const addresses = answers[Math.min(asked.length, answers.length - 1)] ?? []
    asked.push(host)
    done(
      null,
      addresses.map((address) => ({ address, family: isIP(address) })),
    )
  }
  return { asked, lookup: lookup as unknown as typeof lookupName }
}

test('I10: a name of which one address is not public is not dialled', async () => {
  for (const addresses of [
    ['1.1.1.1', '::1'],
    ['127.0.0.1', '1.1.1.1'],
  ]) {
    const { lookup } = names(addresses)
    const connecting = new Outgoing([], lookup).connect({ host: 'both.test', port: 1 })
    await assert.rejects(connecting, /both\.test is at (::1|127\.0\.0\.1), no public address/)
  }
})

test('I10: DNS rebinding: what is dialled is what was checked, and a second connection is checked again', async () => {
  const { asked, lookup } = names(['127.0.0.1'], ['169.254.169.254'])
  const server = createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const outgoing = new Outgoing(['127.0.0.1'], lookup)
  const url = new URL(`http://rebind.test:${port}`)
  const answer = await outgoing.request(url)
  assert.equal(answer.socket.remoteAddress, '127.0.0.1')
  answer.resume()
  assert.deepEqual(asked, ['rebind.test'])
  await assert.rejects(outgoing.request(url), /169\.254\.169\.254/)
  assert.equal(asked.length, 2)
  server.close()
})

test('networks are told from other texts', () => {
  const texts = [
    '10.0.0.0/8',
    '10.1.2.3',
    'fd00::/8',
    '10.0.0.0/33',
    'localhost',
    '',
    '10.0.0.0/8/8',
    'fe80::1%eth0',
  ]
  assert.deepEqual(texts.map(isNetwork), [true, true, true, false, false, false, false, false])
})

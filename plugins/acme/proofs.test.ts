import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChallengeSolver } from '@rivetr/sdk'
import { TestClock } from '@rivetr/testing'
import { acmeConfig } from './config.ts'
import { Proofs } from './proofs.ts'

const solver = (kind: ChallengeSolver['kind']): ChallengeSolver => ({
  kind,
  present: async () => undefined,
  cleanup: async () => undefined,
})
const solvers = new Map([
  ['http-01', solver('http-01')],
  ['tls-alpn-01', solver('tls-alpn-01')],
  ['route53', solver('dns-01')],
])
const proofs = (settings: object) =>
  new Proofs(acmeConfig.parse({ termsAgreed: true, ...settings }), () => solvers, new TestClock())
const kinds = (settings: object, host: string, failures = 0) =>
  proofs(settings)
    .waysFor(host, failures)
    .map(({ kind }) => kind)

for (const host of ['*.example.test', '*.shop.example.test']) {
  test(`U36, H12: ${host} without a solver for its zone is refused with the reason`, () => {
    const reason = proofs({ dns: [{ zone: 'other.test', solver: 'route53' }] }).reasonAgainst(host)
    assert.match(
      String(reason),
      /needs a proof in DNS \(dns-01\), and no zone under "dns" in \[acme\] has it/,
    )
  })
}

for (const host of ['localhost', 'shop.localhost', 'shop', '*.localhost', '*.shop']) {
  test(`${host} is a name of this machine, for which no CA is asked`, () => {
    assert.match(String(proofs({}).reasonAgainst(host)), /no CA gives a certificate for it/)
  })
}

test('a host is proved by the first kind; after a failure the next goes first', () => {
  assert.deepEqual(kinds({}, 'shop.example.test'), ['http-01', 'tls-alpn-01'])
  assert.deepEqual(kinds({}, 'shop.example.test', 1), ['tls-alpn-01', 'http-01'])
  assert.deepEqual(kinds({}, 'shop.example.test', 2), ['http-01', 'tls-alpn-01'])
  assert.deepEqual(kinds({ challenges: ['tls-alpn-01'] }, 'shop.example.test', 3), ['tls-alpn-01'])
})

test('hosts of a zone are proved by its solver, those of the longest name first', () => {
  const dns = [
    { zone: 'example.test', solver: 'nobody' },
    { zone: 'shop.example.test', solver: 'route53' },
  ]
  for (const host of ['shop.example.test', '*.shop.example.test', 'a.b.shop.example.test'])
    assert.deepEqual(kinds({ dns }, host), ['dns-01'])
  assert.throws(
    () => kinds({ dns }, 'example.test'),
    /no running plugin provides the challenge solver "nobody"/,
  )
  assert.deepEqual(kinds({ dns }, 'myexample.test'), ['http-01', 'tls-alpn-01'])
})

for (const [zone, message] of [
  [{ solver: 'rfc2136', server: '127.0.0.1', key: 'k.test' }, /rfc2136 needs file/],
  [{ solver: 'rfc2136', file: '/x', key: 'k.test' }, /rfc2136 needs server/],
  [{ solver: 'webhook', url: 'https://x.test' }, /webhook needs file/],
  [{ solver: 'webhook', url: 'ftp://x.test', file: '/x' }, /url/i],
  [{ solver: 'rfc2136', server: '127.0.0.1', key: 'k.test', file: '/x', secret: 'x' }, /secret/],
] as const) {
  test(`a zone that lacks something is a fault of the configuration: ${JSON.stringify(zone)}`, () => {
    const parsed = acmeConfig.safeParse({ dns: [{ zone: 'example.test', ...zone }] })
    assert.match(String(parsed.error), message)
  })
}

for (const half of [{ eabKid: 'kid-1' }, { eabKeyFile: '/x' }]) {
  test(`half of an external account binding is a fault of the configuration: ${Object.keys(half)}`, () => {
    // As the kernel does it: a refinement must survive that.
    const parsed = acmeConfig.strict().safeParse(half)
    assert.match(String(parsed.error), /needs both, eab_kid and eab_key_file/)
  })
}

test('every key of [acme] has a default or may be left out, and a description', () => {
  assert.equal(acmeConfig.parse({}).termsAgreed, false)
  for (const [key, schema] of Object.entries(acmeConfig.shape)) assert.ok(schema.description, key)
})

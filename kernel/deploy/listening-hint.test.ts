import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exposureHint, listeningHint } from './listening-hint.ts'

const at = (address: string, port = 3000) => ({ address, port })

for (const [listening, hint] of [
  [[], 'it listens on no port'],
  [[at('0.0.0.0', 8080)], 'port 3000 is closed, 8080 is open'],
  [[at('::', 9090), at('0.0.0.0', 8080), at('0.0.0.0', 9090)], 'port 3000 is closed, 8080 and 9090 are open'],
  [[at('127.0.0.1'), at('0.0.0.0', 8080)], 'on port 3000 it listens on 127.0.0.1 only'],
  [[at('127.0.0.1'), at('::1')], 'on port 3000 it listens on 127.0.0.1 and ::1 only'],
  [[at('::')], 'on port 3000 it listens for IPv6 only'],
  [[at('::1')], 'on port 3000 it listens for IPv6 only'],
  [[at('0.0.0.0')], undefined],
  [[at('10.0.0.2')], undefined],
] as const) {
  test(`G10: what is listened on (${listening.map(({ address, port }) => `${address} ${port}`).join(', ')}) explains: ${hint}`, () => {
    assert.equal(listeningHint(at('10.0.0.2'), listening), hint)
  })
}

test('an endpoint of the loopback is reached by who listens there, and one of IPv6 by the wildcard', () => {
  assert.equal(listeningHint(at('127.0.0.1'), [at('127.0.0.1')]), undefined)
  assert.equal(listeningHint(at('fd00::2'), [at('::')]), undefined)
  assert.equal(listeningHint(at('fd00::2'), [at('0.0.0.0')]), 'on port 3000 it listens on 0.0.0.0 only')
})

test('U38: a replica of the loopback that listens for the whole world is told, and no other', () => {
  for (const address of ['0.0.0.0', '::', '192.0.2.1'])
    assert.match(
      exposureHint(at('127.0.0.1'), [at(address)]) ?? '',
      /port 3000 of every address.*listen on 127/,
    )
  for (const [endpoint, listening] of [
    [at('127.0.0.1'), [at('127.0.0.1'), at('::1')]],
    [at('127.0.0.1'), [at('0.0.0.0', 8080)]],
    [at('127.0.0.1'), []],
  ] as const)
    assert.equal(exposureHint(endpoint, listening), undefined)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pair } from './pair.ts'
import { type Candidate, plan } from './planner.ts'

const now = 1_000_000

test('a host without a certificate is asked for now, each by itself', () => {
  const { due } = plan([candidate('a.test'), candidate('b.test')], [], now)
  assert.deepEqual(due, [
    { hosts: ['a.test'], reason: 'first', failures: 0 },
    { hosts: ['b.test'], reason: 'first', failures: 0 },
  ])
})

test('U32: a certificate is renewed at its time, and not before', () => {
  const candidates = [candidate('a.test', { renewAt: now + 5 }), candidate('b.test', { renewAt: now })]
  assert.deepEqual(plan(candidates, [], now), {
    due: [{ hosts: ['b.test'], reason: 'renewal', failures: 0 }],
    nextAt: now + 5,
  })
})

test('H8: a host in its pause waits, and nobody waits for it', () => {
  const candidates = [candidate('a.test', { retryAt: now + 9 }), candidate('b.test')]
  assert.deepEqual(plan(candidates, [], now), {
    due: [{ hosts: ['b.test'], reason: 'first', failures: 0 }],
    nextAt: now + 9,
  })
})

test('H8: a clock that was put back keeps a pause, and renews nothing twice', () => {
  const later = candidate('a.test', { renewAt: now + 60, retryAt: null })
  assert.deepEqual(plan([later], [], now - 86_400_000).due, [])
})

test('H8: a clock that is a day ahead renews only what is due by then', () => {
  const day = 86_400_000
  const candidates = [
    candidate('a.test', { renewAt: now + day }),
    candidate('b.test', { renewAt: now + 2 * day }),
  ]
  assert.deepEqual(
    plan(candidates, [], now + day).due.map(({ hosts }) => hosts),
    [['a.test']],
  )
})

test('hosts of a group share a certificate, those in a pause left out', () => {
  const groups = [['b.test', 'a.test', 'c.test', 'gone.test']]
  const candidates = [
    candidate('a.test'),
    candidate('b.test', { renewAt: now + 50 }),
    candidate('c.test', { retryAt: now + 9 }),
    candidate('d.test'),
  ]
  assert.deepEqual(plan(candidates, groups, now).due, [
    { hosts: ['a.test', 'b.test'], reason: 'first', failures: 0 },
    { hosts: ['d.test'], reason: 'first', failures: 0 },
  ])
})

test('what is being asked for is not asked for again, nor the rest of its group', () => {
  const candidates = [candidate('a.test', {}, true), candidate('b.test'), candidate('c.test', {}, true)]
  assert.deepEqual(plan(candidates, [['a.test', 'b.test']], now).due, [])
})

test('a certificate that does not name the host is none', () => {
  const other = { ...candidate('a.test', { renewAt: now + 50 }), pair: pairOf('b.test') }
  assert.equal(plan([other], [], now).due.length, 1)
})

test('H8: who has not failed yet comes first', () => {
  const candidates = [candidate('a.test', { failures: 3 }), candidate('b.test'), candidate('c.test')]
  assert.deepEqual(
    plan(candidates, [], now).due.map(({ hosts, failures }) => [hosts[0], failures]),
    [
      ['b.test', 0],
      ['c.test', 0],
      ['a.test', 3],
    ],
  )
})

for (const [what, times] of [
  ['after failures that left no pause', { failures: 4 }],
  ['by a CA whose certificates are due when they come', { renewAt: 0 }],
] as const) {
  test(`U34: a host is not asked for more than four times in an hour, ${what}`, () => {
    const hour = 3_600_000
    const orders = [now - hour, now - 40, now - 30, now - 20, now - 10]
    assert.deepEqual(plan([candidate('a.test', { ...times, orders })], [], now), {
      due: [],
      nextAt: now - 40 + hour,
    })
    const three = plan([candidate('a.test', { ...times, orders: orders.slice(2) })], [], now)
    assert.equal(three.due.length, 1)
  })
}

function candidate(host: string, times: Partial<Candidate['row']> = {}, busy = false): Candidate {
  const { renewAt = null, retryAt = null, failures = 0, orders = [] } = times
  const row = { host, renewAt, retryAt, failures, orders }
  return { row, busy, pair: renewAt === null ? undefined : pairOf(host) }
}

function pairOf(host: string): Pair {
  return { hosts: [host], chain: '', key: '', notBefore: 0, notAfter: 0, issuer: '', fingerprint: '' }
}

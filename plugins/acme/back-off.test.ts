import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lastHour, ordersPerHour, pauseAfter, retryAfter } from './back-off.ts'

const minute = 60_000
const hour = 60 * minute
const now = Date.parse('2026-03-01T12:00:00Z')

test('H3, U34: pauses after failures double from 10 minutes to a day, and spread by a fifth', () => {
  const pauses = [1, 2, 3, 4, 8, 9, 100].map((failures) => pauseAfter('order', failures, 0) / minute)
  assert.deepEqual(pauses, [10, 20, 40, 80, 1_280, 1_440, 1_440])
  assert.equal(pauseAfter('order', 1, 1), 12 * minute)
})

test('H3: in any hour there are fewer tries than the five failures at which a CA stops a name', () => {
  const tries = [0]
  for (let failures = 1; failures < 10; failures += 1)
    tries.push((tries.at(-1) ?? 0) + pauseAfter('order', failures, 0))
  for (const start of tries)
    assert.ok(tries.filter((at) => at >= start && at < start + hour).length <= ordersPerHour)
})

test('what only we have seen is looked at again sooner, for no CA counts it', () => {
  assert.deepEqual(
    [1, 2, 7, 50].map((failures) => pauseAfter('precheck', failures, 0) / minute),
    [1, 2, 60, 60],
  )
})

for (const [field, at] of [
  ['3600', now + hour],
  [' 120 ', now + 2 * minute],
  ['0', now],
  ['Sun, 01 Mar 2026 13:00:00 GMT', now + hour],
  ['Sun, 01 Mar 2026 11:00:00 GMT', now],
  ['999999999', now + 7 * 24 * hour],
  ['soon', undefined],
  ['', undefined],
  ['-5', undefined],
  [undefined, undefined],
  [['1', '2'], undefined],
] as const) {
  test(`H3: Retry-After ${JSON.stringify(field)} is understood`, () => {
    if (field === '-5') assert.ok((retryAfter(field, now) ?? now) >= now)
    else assert.equal(retryAfter(field, now), at)
  })
}

test('moments older than an hour, and of a clock that has been put back, are forgotten', () => {
  assert.deepEqual(lastHour([now - hour - 1, now - hour + 1, now, now + 1], now), [now - hour + 1, now])
})

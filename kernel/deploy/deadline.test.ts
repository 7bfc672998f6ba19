import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestClock } from '@rivetr/testing'
import { withDeadline } from './deadline.ts'

const never = new AbortController().signal
const forever = () => new Promise<never>(() => undefined)

test('work that ends in time gives its value, and its signal stays quiet', async () => {
  const clock = new TestClock()
  let seen: AbortSignal | undefined
  const value = await withDeadline(clock, 1_000, 'the work', never, async (signal) => {
    seen = signal
    return 7
  })
  await clock.advance(5_000)
  assert.deepEqual([value, seen?.aborted], [7, false])
})

test('work that ignores its signal is given up at the deadline, by name', async () => {
  const clock = new TestClock()
  const work = withDeadline(clock, 180_000, 'the step build', never, forever)
  await Promise.all([
    assert.rejects(work, { code: 'timed_out', message: 'the step build did not end within 3 minutes' }),
    clock.advance(180_000),
  ])
})

test('an abort from outside gives its own reason, also before the work began', async () => {
  const clock = new TestClock()
  const outer = new AbortController()
  const work = withDeadline(clock, 1_000, 'the work', outer.signal, forever)
  outer.abort(new Error('cancelled by ada'))
  await assert.rejects(work, /cancelled by ada/)
  await assert.rejects(
    withDeadline(clock, 1_000, 'the work', outer.signal, () => assert.fail('it ran')),
    /cancelled by ada/,
  )
})

test('when one part of the work fails the signal of the others aborts', async () => {
  let other: AbortSignal | undefined
  const work = withDeadline(new TestClock(), 1_000, 'the work', never, (signal) => {
    other = signal
    return Promise.reject(new Error('one of two'))
  })
  await assert.rejects(work, /one of two/)
  assert.equal(other?.aborted, true)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestClock } from '@rivetr/testing'
import { createLogger } from './logger.ts'
import { Scope } from './scope.ts'

function open() {
  const clock = new TestClock()
  const lines: Record<string, unknown>[] = []
  const log = createLogger('info', { write: (line) => lines.push(JSON.parse(line)) })
  return { clock, lines, scope: new Scope('shop', clock, log) }
}

test('everything is undone in reverse, once', async () => {
  const { scope } = open()
  const seen: number[] = []
  for (const number of [1, 2, 3]) scope.add(() => void seen.push(number))
  await scope.dispose()
  await scope.dispose()
  assert.deepEqual(seen, [3, 2, 1])
})

test('an undo that throws keeps no other from running, and is reported', async () => {
  const { scope, lines } = open()
  const seen: string[] = []
  scope.add(() => void seen.push('first'))
  scope.add(() => Promise.reject(new Error('socket is busy')))
  scope.add(() => {
    throw new Error('file is gone')
  })
  await scope.dispose()
  assert.deepEqual(seen, ['first'])
  assert.deepEqual(
    lines.map(({ error }) => error),
    ['file is gone', 'socket is busy'],
  )
})

test('an undo that hangs is given up, and the next one runs', async () => {
  const { scope, clock, lines } = open()
  const seen: string[] = []
  scope.add(() => void seen.push('first'))
  scope.add(() => new Promise<void>(() => undefined))
  const disposing = scope.dispose()
  await clock.advance(10_000)
  await disposing
  assert.deepEqual(seen, ['first'])
  assert.equal(lines[0]?.error, 'did not end within 10000 ms')
})

test('the signal aborts before anything is undone', async () => {
  const { scope } = open()
  let aborted = false
  scope.add(() => {
    aborted = scope.signal.aborted
  })
  await scope.dispose()
  assert.equal(aborted, true)
  assert.equal((scope.signal.reason as Error).name, 'AbortError')
})

test('nothing is made any more once the scope is closed', async () => {
  const { scope } = open()
  await scope.dispose()
  let made = false
  assert.throws(
    () =>
      scope.register(() => {
        made = true
        return () => undefined
      }),
    /plugin shop is stopped and can register nothing/,
  )
  assert.equal(made, false)
})

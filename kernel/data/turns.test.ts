import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Turns } from './turns.ts'

const never = new AbortController().signal

test('no more turns are taken than there are, in the order in which they were asked for', async () => {
  const turns = new Turns(2)
  const order: number[] = []
  let running = 0
  let most = 0
  await Promise.all(
    [1, 2, 3, 4, 5].map((number) =>
      turns.take(
        never,
        () => undefined,
        async () => {
          running += 1
          most = Math.max(most, running)
          order.push(number)
          await new Promise(setImmediate)
          running -= 1
        },
      ),
    ),
  )
  assert.equal(most, 2)
  assert.deepEqual(order, [1, 2, 3, 4, 5])
})

test('a turn is given back when its work fails', async () => {
  const turns = new Turns(1)
  await assert.rejects(
    turns.take(
      never,
      () => undefined,
      () => Promise.reject(new Error('no')),
    ),
  )
  assert.equal(
    await turns.take(
      never,
      () => assert.fail('it waited'),
      async () => 'done',
    ),
    'done',
  )
})

test('who gives up while waiting loses the place, and nobody else does', async () => {
  const turns = new Turns(1)
  const first = Promise.withResolvers<void>()
  const giveUp = new AbortController()
  const running = turns.take(
    never,
    () => undefined,
    () => first.promise,
  )
  const gone = turns.take(
    giveUp.signal,
    () => undefined,
    async () => assert.fail('it ran'),
  )
  const last = turns.take(
    never,
    () => undefined,
    async () => 'done',
  )
  giveUp.abort(new Error('enough'))
  await assert.rejects(gone, /enough/)
  first.resolve()
  await running
  assert.equal(await last, 'done')
})

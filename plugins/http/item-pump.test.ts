import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestClock } from '@rivetr/testing'
import { pump } from './item-pump.ts'

/** Items, and whether their source was ended. */
function source(count: number) {
  const seen = { ended: false }
  async function* items(): AsyncGenerator<number> {
    try {
      for (let at = 0; at < count; at += 1) yield at
    } finally {
      seen.ended = true
    }
  }
  return { items: items(), seen }
}

test('the source is ended when the client leaves in the middle', async () => {
  const { items, seen } = source(10)
  const send = async () => {
    throw new Error('the client left')
  }
  const textOf = () => 'x'.repeat(64 * 1024)
  const options = { textOf, send, stillHere() {}, clock: new TestClock() }
  await assert.rejects(pump(items, options), /the client left/)
  assert.ok(seen.ended)
})

test('all items are sent, in their order, in few pieces', async () => {
  const { items, seen } = source(1_000)
  const pieces: string[] = []
  const send = async (text: string) => void pieces.push(text)
  await pump(items, { textOf: (item) => `${item} `, send, stillHere() {}, clock: new TestClock() })
  assert.equal(pieces.join(''), Array.from({ length: 1_000 }, (_, at) => `${at} `).join(''))
  assert.ok(pieces.length < 100 && seen.ended)
})

import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import type { Clock } from '@rivetr/sdk'
import { eventually } from '@rivetr/testing'
import type { Replica } from './replica.ts'
import { openTerminal } from './terminal.ts'
import { testClock } from './test-clock.ts'

const replica = {
  environment: { PATH: '/usr/bin:/bin' },
  record: { release: tmpdir() },
  endSession: async () => undefined,
} as unknown as Replica

/** A terminal whose process has been started, and has not said yet that the command runs. */
async function starting(signal: AbortSignal) {
  const begun = Promise.withResolvers<() => void>()
  const clock: Clock = {
    ...testClock,
    after(ms, run) {
      assert.equal(ms, 10_000)
      begun.resolve(run)
      return () => undefined
    },
  }
  const opening = openTerminal(replica, undefined, clock, {
    command: ['cat'],
    size: { columns: 80, rows: 24 },
    signal,
  })
  opening.catch(() => undefined)
  const passLimit = await begun.promise
  assert.ok(runsProcess())
  return { opening, passLimit }
}

const runsProcess = () => process.getActiveResourcesInfo().includes('ProcessWrap')

test('a terminal that is taken back before its command runs ends at once', async () => {
  const cancel = new AbortController()
  const { opening } = await starting(cancel.signal)
  cancel.abort(new Error('taken back'))
  await assert.rejects(opening, /taken back/)
  await eventually('end of its process', () => !runsProcess() || undefined)
})

test('a terminal that does not begin is given up after a while', async () => {
  const { opening, passLimit } = await starting(new AbortController().signal)
  passLimit()
  await assert.rejects(opening, { code: 'unavailable', message: /did not begin within 10 s/ })
  await eventually('end of its process', () => !runsProcess() || undefined)
})

import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '@rivetr/sdk'

/** The machine's time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(ms, signal) {
    signal?.throwIfAborted()
    try {
      await sleep(ms, undefined, { signal, ref: false })
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    }
  },
  after(ms, run) {
    const timer = setTimeout(run, ms).unref()
    return () => clearTimeout(timer)
  },
}

import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '@rivetr/sdk'

/** The machine's time, which keeps a test running while it waits. */
export const testClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }),
  after(ms, run) {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}

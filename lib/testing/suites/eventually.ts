import { setTimeout as sleep } from 'node:timers/promises'

/** It grows from the first to the second: what comes soon is seen soon, and what takes long is not asked forty times a second. */
const firstPauseMs = 10
const longestPauseMs = 160

/** Asks again and again until there is an answer; fails with what it waited for once the time is up. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
  limitMs = 20_000,
): Promise<T> {
  const giveUpAt = Date.now() + limitMs
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (Date.now() > giveUpAt) throw new Error(`${what}: not within ${limitMs} ms`)
    await sleep(pauseMs)
  }
}

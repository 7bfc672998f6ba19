import { setTimeout as sleep } from 'node:timers/promises'

/** Asks again and again until there is an answer; fails with what it waited for once the time is up. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
  limitMs = 20_000,
): Promise<T> {
  const giveUpAt = Date.now() + limitMs
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (Date.now() > giveUpAt) throw new Error(`${what}: not within ${limitMs} ms`)
    await sleep(25)
  }
}

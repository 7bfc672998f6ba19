import { setTimeout as sleep } from 'node:timers/promises'

/** Polls until it is so. */
export async function until(
  what: string,
  ask: () => boolean | Promise<boolean>,
  limitMs = 150_000,
): Promise<void> {
  const deadline = Date.now() + limitMs
  while (!(await ask())) {
    if (Date.now() > deadline) throw new Error(`no ${what} within ${limitMs} ms`)
    await sleep(50)
  }
}

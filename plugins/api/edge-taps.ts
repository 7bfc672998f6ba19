import type { Clock, EdgeTapStats, Traffic } from '@rivetr/sdk'

/** Plugins are looked at when something is wrong, and then edges may not answer at all. */
const answerLimitMs = 2_000

/** What plugins' taps in the edges do; none where no edge tells in time. */
export async function edgeTapsOf(
  traffic: Traffic | undefined,
  clock: Clock,
): Promise<readonly EdgeTapStats[]> {
  if (traffic === undefined) return []
  const late = new AbortController()
  const none = clock.sleep(answerLimitMs, late.signal).then(
    () => undefined,
    () => undefined,
  )
  try {
    const stats = await Promise.race([traffic.stats().catch(() => undefined), none])
    return stats?.taps ?? []
  } finally {
    late.abort()
  }
}

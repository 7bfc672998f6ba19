const minuteMs = 60_000
const hourMs = 60 * minuteMs

/** Orders of a host that may reach the CA in an hour; Let's Encrypt stops a name after five failures. */
export const ordersPerHour = 4

/** What has failed: nothing has reached the CA yet, or it has. */
export type FailureKind = 'precheck' | 'order'

/**
 * Pause after so many failures in a row: 10 minutes, doubled up to a day, where the CA counted them; a minute, doubled up to an
 * hour, where only we looked. Up to a fifth more, so that hosts which failed together do not come back together.
 */
export function pauseAfter(kind: FailureKind, failures: number, random = Math.random()): number {
  const [first, most] = kind === 'order' ? [10 * minuteMs, 24 * hourMs] : [minuteMs, hourMs]
  return Math.round(Math.min(first * 2 ** (failures - 1), most) * (1 + random / 5))
}

/** The moments of the last hour, from those that were kept. */
export function lastHour(moments: readonly number[], now: number): number[] {
  return moments.filter((at) => at > now - hourMs && at <= now)
}

/** When a host may be ordered again whose last hour has as many orders as are good. */
export function fullUntil(orders: readonly number[], now: number): number | undefined {
  const oldest = lastHour(orders, now).at(-ordersPerHour)
  return oldest === undefined ? undefined : oldest + hourMs
}

/** RFC 9110, section 10.2.3: seconds, or a date. Undefined where it is neither; never in the past, and never more than a week. */
export function retryAfter(field: unknown, now: number): number | undefined {
  if (typeof field !== 'string') return undefined
  const at = /^\s*\d{1,9}\s*$/.test(field) ? now + Number(field) * 1_000 : Date.parse(field)
  return Number.isNaN(at) ? undefined : Math.min(Math.max(at, now), now + 7 * 24 * hourMs)
}

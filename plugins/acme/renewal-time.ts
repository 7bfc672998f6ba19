import type { Pair } from './pair.ts'

/** When a certificate is to be renewed by itself: after a part of its life, up to a fiftieth of it later. */
export function renewalTime(
  { notBefore, notAfter }: Pick<Pair, 'notBefore' | 'notAfter'>,
  renewAfter: number,
  random = Math.random(),
): number {
  return Math.round(notBefore + (notAfter - notBefore) * (renewAfter + random / 50))
}

/**
 * How many days a certificate has left when it is time to tell so, and the same number once only: the smallest of the days that
 * has been reached. A short-lived one is told about in the last third of its life, never before.
 */
export function warningDue(
  { notBefore, notAfter }: Pick<Pair, 'notBefore' | 'notAfter'>,
  now: number,
  days: readonly number[],
  told: number | undefined,
): number | undefined {
  const left = notAfter - now
  if (left > (notAfter - notBefore) / 3) return undefined
  const reached = days.filter((day) => left <= day * 86_400_000)
  const least = reached.length === 0 ? undefined : Math.min(...reached)
  return least !== undefined && (told === undefined || least < told) ? least : undefined
}

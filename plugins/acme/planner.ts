import { fullUntil } from './back-off.ts'
import type { HostRecord } from './host-book.ts'
import { covers, type Pair } from './pair.ts'

/** Why a certificate is asked for. */
export type Reason = 'first' | 'renewal'

/** Hosts for which one certificate is to be asked for. */
export interface Unit {
  readonly hosts: readonly string[]
  readonly reason: Reason
  /** In a row, before this one. */
  readonly failures: number
}

/** A host that is to have a certificate from the CA. */
export interface Candidate {
  readonly row: Pick<HostRecord, 'host' | 'renewAt' | 'retryAt' | 'failures' | 'orders'>
  /** What it has, as far as it can be served. */
  readonly pair: Pair | undefined
  /** It is being asked for. */
  readonly busy: boolean
}

/** What is to be done now, those first that have not failed, and when to look again. */
export interface Plan {
  readonly due: readonly Unit[]
  readonly nextAt: number | undefined
}

/** Each host apart from the others, but for the groups: of one, whoever is not in a pause shares the certificate. */
export function plan(
  candidates: readonly Candidate[],
  groups: readonly (readonly string[])[],
  now: number,
): Plan {
  const byHost = new Map(candidates.map((candidate) => [candidate.row.host, candidate]))
  const planned = new Set<string>()
  const due: Unit[] = []
  const later: number[] = []
  for (const candidate of candidates) {
    const { host } = candidate.row
    if (candidate.busy || planned.has(host)) continue
    const at = dueAt(candidate, now)
    if (at > now) {
      later.push(at)
      continue
    }
    const group = groups.find((each) => each.includes(host)) ?? [host]
    const together = group.flatMap((name) => byHost.get(name) ?? [])
    // What the group is asked for now ends soon, and then it is looked at again.
    if (together.some(({ busy }) => busy)) continue
    const rows = together.filter((each) => allowedAt(each, now) <= now).map(({ row }) => row)
    for (const row of rows) planned.add(row.host)
    due.push({
      hosts: rows.map((row) => row.host).sort(),
      reason: candidate.pair === undefined ? 'first' : 'renewal',
      failures: Math.max(...rows.map(({ failures }) => failures)),
    })
  }
  due.sort((a, b) => a.failures - b.failures)
  return { due, nextAt: later.length === 0 ? undefined : Math.min(...later) }
}

function dueAt(candidate: Candidate, now: number): number {
  const { row, pair } = candidate
  const usable = pair !== undefined && covers(pair, row.host)
  return Math.max(allowedAt(candidate, now), usable ? (row.renewAt ?? 0) : 0)
}

/** After the pause of a failure; and never more often than is good, whatever a CA, a clock or a crash makes of the times. */
function allowedAt({ row }: Candidate, now: number): number {
  return Math.max(row.retryAt ?? 0, fullUntil(row.orders, now) ?? 0)
}

import type { LogLine } from '@rivetr/sdk'
import { UsageError } from '../output.ts'
import type { Session } from '../session.ts'

export interface LogsOptions {
  follow?: boolean
  tail?: string
  since?: string
  replica?: string
  process?: string
}

/** Without a word about how many. */
const usualTail = 100

export async function showLogs(
  { client, output }: Session,
  app: string,
  { follow, tail, since, replica, process }: LogsOptions,
): Promise<void> {
  const query = {
    // Whoever names a time wants all since then.
    tail: tail === undefined ? (since === undefined ? usualTail : undefined) : Number(tail),
    since: since === undefined ? undefined : timeOf(since),
    replica,
    process,
  }
  if (!follow) {
    const { items } = await client.apps.logs(app, query)
    output.result({ items }, items.map(textOf).join('\n'))
    return
  }
  for await (const line of client.apps.followLogs(app, query)) output.item(line, textOf(line))
}

function textOf({ at, from, text }: LogLine): string {
  return `${at} ${from === undefined ? '' : `${from} `}${text}`
}

const unitsMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `10m` is so long ago; anything else is a time. */
function timeOf(text: string): string {
  const [, count, unit = ''] = /^(\d+)([smhd])$/.exec(text) ?? []
  // Only what begins like ISO 8601: a Date makes a time of almost anything.
  const writtenMs = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  const timeMs = count === undefined ? writtenMs : Date.now() - Number(count) * (unitsMs[unit] ?? 0)
  const time = new Date(timeMs)
  if (Number.isNaN(time.valueOf()))
    throw new UsageError(`${JSON.stringify(text)} is no time; write it like 10m, 2h or 2027-01-31T12:00:00Z`)
  return time.toISOString()
}

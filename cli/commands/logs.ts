import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'
import { lineText } from '@rivetr/sdk/client'
import { UsageError } from '../output.ts'
import type { Session } from '../session.ts'

export interface LogsOptions {
  follow?: boolean
  tail?: string
  since?: string
  replica?: string
  process?: string
  deployment?: string
  download?: string
}

/** Without a word about how many. */
const usualTail = 100

export async function showLogs(session: Session, app: string, options: LogsOptions): Promise<void> {
  const { client, output } = session
  const { follow, tail, replica, process, deployment, download } = options
  if (deployment !== undefined && (replica ?? process) !== undefined)
    throw new UsageError('the log of a deployment has neither replicas nor processes')
  const since = options.since === undefined ? undefined : timeOf(options.since)
  const query = { since, replica, process }
  if (download !== undefined) {
    if (follow || tail !== undefined)
      throw new UsageError('--download takes all lines, or with --since those since a time')
    const bytes = await (deployment === undefined
      ? client.apps.downloadLogs(app, query)
      : client.deployments.downloadLogs(deployment, { since }))
    const size = await keep(bytes, download)
    return output.result({ file: download, bytes: size }, `${size} bytes in ${download}`)
  }
  // Whoever names a time wants all since then.
  const some = {
    ...query,
    tail: tail === undefined ? (since === undefined ? usualTail : undefined) : Number(tail),
  }
  if (!follow) {
    const { items } = await (deployment === undefined
      ? client.apps.logs(app, some)
      : client.deployments.logs(deployment, some))
    output.result({ items }, items.map(lineText).join('\n'))
    return
  }
  const lines =
    deployment === undefined
      ? client.apps.followLogs(app, some)
      : client.deployments.followLogs(deployment, some)
  for await (const line of lines) output.item(line, lineText(line))
}

/** The file has its name when it is whole. */
async function keep(bytes: ReadableStream<Uint8Array>, path: string): Promise<number> {
  const part = `${path}.part`
  const file = createWriteStream(part, { mode: 0o600 })
  try {
    await pipeline(Readable.fromWeb(bytes as NodeReadableStream), file)
    await rename(part, path)
  } catch (error) {
    await rm(part, { force: true })
    throw new Error(`the log was not kept in ${path}: ${(error as Error).message}`, { cause: error })
  }
  return file.bytesWritten
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

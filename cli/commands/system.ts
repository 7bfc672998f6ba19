import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError } from '@rivetr/sdk/client'
import { table } from '../output.ts'
import type { Session } from '../session.ts'

const stopLimitMs = 60_000
const pollMs = 100

export async function status({ client, output }: Session): Promise<number> {
  const [health, stats] = await Promise.all([client.system.health(), client.system.stats()])
  const down = Object.entries(health.plugins).filter(([, state]) => state !== 'running')
  const { memoryBytes, diskBytes, cores, load } = stats.machine
  const rows = [
    [
      'rivetr',
      `${health.version}, instance ${health.instance}, ${health.healthy ? 'healthy' : 'NOT healthy'}`,
    ],
    ['up', `${duration(stats.uptimeMs)}, ${gibibytes(stats.process.memoryBytes)} of memory`],
    [
      'plugins',
      `${Object.keys(health.plugins).length - down.length} running${down.map(([name, state]) => `, ${name} ${state}`).join('')}`,
    ],
    [
      'machine',
      `${cores} cores with load ${load.toFixed(2)}, ${free(memoryBytes)} of memory and ${free(diskBytes)} of disk free`,
    ],
  ]
  output.result(
    { ...health, stats },
    rows.map(([name = '', value]) => `${name.padEnd(9)}${value}`).join('\n'),
  )
  return health.healthy ? 0 : 1
}

export async function listPlugins({ client, output }: Session): Promise<void> {
  const { items } = await client.plugins.list()
  const rows = items.map(({ name, version, state, provides, error }) => [
    name,
    version,
    state,
    provides.join(' '),
    error?.message ?? '',
  ])
  output.result({ items }, table(['PLUGIN', 'VERSION', 'STATE', 'PROVIDES', 'ERROR'], rows))
}

/** Returns when Rivetr has ended: it does not answer, and on this machine its data folder is free. */
export async function stop(
  { client, output, folder }: Session,
  { all = false }: { all?: boolean },
): Promise<number> {
  await client.system.stop(all)
  const giveUpAt = performance.now() + stopLimitMs
  while ((await answers(client)) || (folder !== undefined && (await taken(folder)))) {
    if (performance.now() > giveUpAt) {
      const late = `Rivetr has not ended after ${stopLimitMs / 1000} s; its log says what it waits for`
      output.result({ stopped: false, all }, late)
      return 1
    }
    await sleep(pollMs)
  }
  const text = all ? 'stopped, with edges and replicas' : 'stopped; edges and replicas go on serving'
  output.result({ stopped: true, all }, text)
  return 0
}

async function answers(client: Session['client']): Promise<boolean> {
  try {
    await client.system.health()
    return true
  } catch (error) {
    if (error instanceof ApiError && error.code === 'unreachable') return false
    throw error
  }
}

/** Whether a kernel has the data folder: it holds SQLite's exclusive lock on this file for as long as it lives. */
async function taken(folder: string): Promise<boolean> {
  const file = join(folder, 'rivetr.lock')
  if (!existsSync(file)) return false
  const { DatabaseSync } = await import('node:sqlite')
  const lock = new DatabaseSync(file)
  try {
    lock.exec('select 1 from sqlite_schema')
    return false
  } catch {
    return true
  } finally {
    lock.close()
  }
}

function duration(ms: number): string {
  const minutes = Math.floor(ms / 60_000)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`
}

function free({ total, free }: { total: number; free: number }): string {
  return `${gibibytes(free)} of ${gibibytes(total)}`
}

function gibibytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`
}

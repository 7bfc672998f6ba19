import { setTimeout as sleep } from 'node:timers/promises'
import { log } from './log.ts'
import { orphansIn } from './processes.ts'

const goneCheckMs = 50

/**
 * Ends the edges of a launcher that was killed: they drain, and are killed when they do not in time. Resolves when
 * they are gone or the limit for waiting is over.
 */
export async function endOrphans(folder: string, drainMs: number, waitLimitMs: number): Promise<void> {
  const orphans = new Set(orphansIn(folder))
  if (orphans.size === 0) return
  log('edges of a launcher that was killed are told to drain', { edges: [...orphans] })
  for (const pid of orphans) signal(pid, 'SIGTERM')
  const killer = setTimeout(() => {
    for (const pid of remaining(orphans, folder)) signal(pid, 'SIGKILL')
  }, drainMs + 1_000).unref()
  const giveUpAtMs = performance.now() + waitLimitMs
  while (performance.now() < giveUpAtMs) {
    if (remaining(orphans, folder).length === 0) return clearTimeout(killer)
    await sleep(goneCheckMs)
  }
}

function remaining(orphans: ReadonlySet<number>, folder: string): number[] {
  return orphansIn(folder).filter((pid) => orphans.has(pid))
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // it ended by itself
  }
}

import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '@rivetr/sdk'
import { parentId, parentVariable } from '@rivetr/sdk/kit'

/** Something that forks while it is being ended needs another look. */
const mostRounds = 50
const pauseMs = 20

/**
 * Ends the programs of the Rivetr that had this data folder before, where it was killed: nobody hears them any more, and
 * what they do would reach into work that starts again. To be called before anything is started, by who holds the folder.
 */
export async function endOrphans(dataDir: string, log: Logger): Promise<void> {
  const file = join(dataDir, 'rivetr.parent')
  const before = (await readFile(file, 'utf8').catch(() => '')).trim()
  if (before !== '' && before !== parentId) {
    const { ended, left } = await endProgramsOf(before)
    if (ended.length > 0)
      log.info('ended programs that a Rivetr before this one left behind', { pids: ended })
    if (left.length > 0) log.warn('programs of a Rivetr before this one do not end', { pids: left })
  }
  await writeFile(file, `${parentId}\n`, { mode: 0o600 })
}

async function endProgramsOf(parent: string): Promise<{ ended: number[]; left: number[] }> {
  const seen = new Set<number>()
  let left = await programsOf(parent)
  for (let round = 0; round < mostRounds && left.length > 0; round += 1) {
    for (const pid of left) {
      seen.add(pid)
      kill(pid)
    }
    await sleep(pauseMs)
    left = await programsOf(parent)
  }
  return { ended: [...seen].filter((pid) => !left.includes(pid)), left }
}

/** Nothing where there is no /proc. */
async function programsOf(parent: string): Promise<number[]> {
  const names = await readdir('/proc').catch(() => [])
  const pids = names.map(Number).filter(Number.isSafeInteger)
  const belongs = await Promise.all(pids.map((pid) => worksFor(pid, parent)))
  return pids.filter((_, index) => belongs[index])
}

/** As it was started; empty for one that has ended and that nobody has taken note of, and unreadable for a stranger's. */
async function worksFor(pid: number, parent: string): Promise<boolean> {
  const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')
  return environment.split('\0').includes(`${parentVariable}=${parent}`)
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

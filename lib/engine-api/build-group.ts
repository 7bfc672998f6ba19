import { randomUUID } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** So long must nothing of a build be seen until it counts as ended: its next step may be about to begin. */
const quietMs = 300
const pauseMs = 20

/**
 * The control group in which an engine runs the steps of one build, for engines that let a step go on when nobody wants
 * the build any more. Only on this machine, and as root.
 */
export class BuildGroup {
  readonly path = `/rivetr-build-${randomUUID()}`

  static possible(): boolean {
    return process.getuid?.() === 0
  }

  /** Ends what runs in it, again and again until nothing more comes; gives up after `limitMs`. */
  async end(limitMs: number): Promise<void> {
    const giveUpAtMs = performance.now() + limitMs
    for (let seenAtMs = performance.now(); performance.now() < giveUpAtMs; await sleep(pauseMs)) {
      const pids = await this.pids()
      for (const pid of pids) kill(pid)
      if (pids.length > 0) seenAtMs = performance.now()
      else if (performance.now() - seenAtMs > quietMs) return
    }
  }

  private async pids(): Promise<number[]> {
    const pids = (await readdir('/proc').catch(() => [])).map(Number).filter(Number.isSafeInteger)
    const inside = await Promise.all(pids.map((pid) => this.holds(pid)))
    return pids.filter((_, index) => inside[index])
  }

  /** Of whatever version of control groups: each line ends with a path. */
  private async holds(pid: number): Promise<boolean> {
    const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')
    return groups.split('\n').some((line) => line.split(':')[2]?.startsWith(this.path))
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

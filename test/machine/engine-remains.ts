import { createHash } from 'node:crypto'
import { readdir, readFile, readlink, rmdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { command } from './command.ts'

// What an engine can leave on the machine, and how to find it again from nothing but the engine's folder.

/** The parent of the control groups of an engine's containers. */
export function engineCgroup(folder: string): string {
  return `rivetr-test-${createHash('sha256').update(folder).digest('hex').slice(0, 12)}`
}

/** The engine's programs that name its folder in their arguments, and everything inside its containers. */
export async function processesOf(folder: string): Promise<number[]> {
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    if (/^\d+$/.test(name) && (await belongsTo(folder, name))) found.push(Number(name))
  }
  return found
}

/** Of every engine below a folder that still has a process, whoever started it and however it ended. */
export async function engineFoldersBelow(folder: string): Promise<string[]> {
  const found = new Set<string>()
  for (const name of await readdir('/proc')) {
    const path = /^\d+$/.test(name)
      ? (await engineArgs(name)).find((arg) => arg.startsWith(`${folder}/`))
      : undefined
    const match = path?.match(/^(.*?)\/(?:data|exec)(?:\/|$)/)
    if (match?.[1] !== undefined) found.add(match[1])
  }
  return [...found]
}

/** Signals each and waits until all are gone; whatever ignores the signal for 30 s is killed. */
export async function endAll(pids: readonly number[], signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  for (const pid of pids) send(pid, signal)
  const killAt = Date.now() + 30_000
  for (const pid of pids) {
    while (await running(pid)) {
      if (Date.now() > killAt) send(pid, 'SIGKILL')
      await sleep(20)
    }
  }
}

/** False for a zombie too: an orphan that ended stays one wherever the machine's first process does not reap. */
export async function running(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  return stat !== undefined && !/\) [ZX] /.test(stat)
}

/** Every mount in a folder, the innermost first. */
export async function unmountBelow(folder: string): Promise<void> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8')
  const below = mounts
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith(`${folder}/`))
  for (const path of below.reverse()) await command(['umount', '--lazy', path])
}

/** Removes a control group and those below it from every hierarchy (version 1 has many, version 2 one). */
export async function removeCgroups(name: string): Promise<void> {
  for (const folder of await cgroupsNamed(name)) await removeCgroup(folder)
}

/** Likewise, but for what another engine is using. */
export async function removeIdleCgroups(name: string): Promise<void> {
  for (const folder of await cgroupsNamed(name)) await removeCgroup(folder, 10).catch(() => {})
}

async function cgroupsNamed(name: string): Promise<string[]> {
  const root = '/sys/fs/cgroup'
  return ['', ...(await readdir(root))].map((hierarchy) => join(root, hierarchy, name))
}

async function removeCgroup(folder: string, mostAttempts = 100): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  for (const entry of entries)
    if (entry.isDirectory()) await removeCgroup(join(folder, entry.name), mostAttempts)
  // A group stays busy for a moment after its last process ended.
  for (let attempt = 1; ; attempt++) {
    const error = await rmdir(folder).catch((cause: NodeJS.ErrnoException) => cause)
    if (error?.code !== 'EBUSY') return
    if (attempt === mostAttempts) throw new Error(`control group ${folder} stays busy`, { cause: error })
    await sleep(20)
  }
}

async function belongsTo(folder: string, pid: string): Promise<boolean> {
  const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')
  if (groups.includes(`/${engineCgroup(folder)}/`)) return true
  return (await engineArgs(pid)).some((arg) => arg.startsWith(`${folder}/`))
}

/** Of one of the engine's programs; of any other process, none. */
async function engineArgs(pid: string): Promise<string[]> {
  const program = basename(await readlink(`/proc/${pid}/exe`).catch(() => ''))
  if (!/^(dockerd|docker-proxy|containerd|runc|podman|conmon|aardvark-dns)/.test(program)) return []
  const args = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return args.split('\0')
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs'

/** Fifteen characters are what Linux keeps of a name. */
export const launcherTitle = 'rivetr-launcher'
export const edgeTitle = 'rivetr-edge'
export const keeperName = 'sh'

/** A process that works in the proxy's folder. */
export interface FolderProcess {
  readonly pid: number
  readonly parent: number
  readonly name: string
}

/**
 * Keepers, launchers and edges of this folder, whoever started them: each runs inside it, and nobody else may enter it.
 * Unlike a list of pids in a file, this names no process that merely got the number of one that ended.
 */
export function processesIn(folder: string): FolderProcess[] {
  const root = realPath(folder)
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => (isIn(root, name) ? (describe(Number(name)) ?? []) : []))
}

/** Edges whose launcher was killed. They serve on until they are told to drain. */
export function orphansIn(folder: string): number[] {
  return processesIn(folder)
    .filter(({ name, parent }) => name === edgeTitle && describe(parent)?.name !== launcherTitle)
    .map(({ pid }) => pid)
}

function realPath(folder: string): string {
  try {
    return realpathSync(folder)
  } catch {
    return folder // it was removed; processes in it remain
  }
}

function isIn(folder: string, pid: string): boolean {
  try {
    const at = readlinkSync(`/proc/${pid}/cwd`).replace(/ \(deleted\)$/, '')
    return at === folder || at.startsWith(`${folder}/`)
  } catch {
    return false // it ended, or is somebody else's
  }
}

function describe(pid: number): FolderProcess | undefined {
  try {
    const [, name = '', rest = ''] =
      /^\d+ \((.*)\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
    const [state, parent] = rest.split(' ')
    return state === 'Z' ? undefined : { pid, parent: Number(parent), name }
  } catch {
    return undefined
  }
}

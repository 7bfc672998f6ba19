import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'

/** A process as /proc shows it. Reads of /proc never wait for a disk, so that they are made at once, without a promise. */
export interface ProcessEntry {
  readonly pid: number
  readonly group: number
  readonly session: number
  /** Ticks since the machine started. With the pid and the boot id it names one process for ever. */
  readonly startTicks: number
  /** CPU time of the process and of the children that it has waited for, in ticks. */
  readonly cpuTicks: number
}

/** Linux reports CPU time and start times in hundredths of a second, whatever its own timer does (proc(5)). */
export const ticksPerSecond = 100

/** Changes with every start of the machine. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}

export function findProcess(pid: number): ProcessEntry | undefined {
  const line = readOf(pid, 'stat')
  return line === undefined ? undefined : parseStat(line)
}

export function processIds(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isSafeInteger)
}

/**
 * Reads a line of /proc/PID/stat; undefined for a process that has ended. The orphan of a dead kernel may stay a zombie
 * under PID 1 for ever: `kill(pid, 0)` would call it alive.
 */
export function parseStat(line: string): ProcessEntry | undefined {
  // The second field is the program's name in parentheses, and may itself hold blanks and parentheses.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  const number = (field: number) => Number(fields[field - 3])
  const pid = Number.parseInt(line, 10)
  const startTicks = number(22)
  if (!Number.isSafeInteger(pid) || !Number.isSafeInteger(startTicks)) return undefined
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined
  const cpuTicks = number(14) + number(15) + number(16) + number(17)
  return { pid, group: number(5), session: number(6), startTicks, cpuTicks }
}

/** The uid of the process where it may be inspected, else that of root. */
export function ownerOf(pid: number): number | undefined {
  return statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid
}

/** The real uid. */
export function uidOf(pid: number): number | undefined {
  return numberIn(readOf(pid, 'status'), /^Uid:\s+(\d+)/m)
}

export function memoryBytesOf(pid: number): number {
  return 1024 * (numberIn(readOf(pid, 'status'), /^VmRSS:\s+(\d+)/m) ?? 0)
}

/** Inodes of the sockets that the process holds; none where it may not be inspected. */
export function socketsOf(pid: number): string[] {
  let descriptors: string[]
  try {
    descriptors = readdirSync(`/proc/${pid}/fd`)
  } catch {
    return [] // it has ended meanwhile, or belongs to somebody else
  }
  return descriptors.flatMap((descriptor) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${descriptor}`))?.[1] ?? []
    } catch {
      return [] // it was closed meanwhile
    }
  })
}

/** The environment that the process was started with; empty where it may not be read. */
export function environmentOf(pid: number): Record<string, string> {
  const entries = (readOf(pid, 'environ') ?? '').split('\0').filter((entry) => entry.includes('='))
  return Object.fromEntries(
    entries.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
  )
}

/** One variable of that environment. */
export function variableOf(pid: number, name: string): string | undefined {
  const start = `${name}=`
  const entry = readOf(pid, 'environ')
    ?.split('\0')
    .find((other) => other.startsWith(start))
  return entry?.slice(start.length)
}

function readOf(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return undefined // it has ended meanwhile, or belongs to somebody else
  }
}

function numberIn(text: string | undefined, pattern: RegExp): number | undefined {
  const found = text?.match(pattern)?.[1]
  return found === undefined ? undefined : Number(found)
}

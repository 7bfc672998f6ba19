import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock, LogLine } from '@rivetr/sdk'
import { LogFile, shortened } from './log-file.ts'

/** Lines are written together, but not more than these. */
const linesAtOnce = 500
const charactersAtOnce = 1024 * 1024
/** How long it takes until a disk that was full is tried again. */
const retryMs = 1_000
/** The log of an app is so many files; the oldest one goes when another is begun. */
const segmentCount = 4

export interface AppLogOptions {
  readonly maxBytes: number
  readonly clock: Clock
  /** Called when there are more lines to read. */
  readonly onMore: () => void
}

/** A file of an app's log: the number of its first line is its name. */
export interface Segment {
  readonly first: number
  readonly path: string
}

/** Oldest first. */
export async function segmentsIn(folder: string): Promise<Segment[]> {
  const names = await readdir(folder).catch(() => [])
  return names
    .flatMap((name) => /^(\d+)\.log$/.exec(name)?.[1] ?? [])
    .sort()
    .map((name) => ({ first: Number(name), path: join(folder, `${name}.log`) }))
}

/**
 * The one writer of what an app's replicas print. Each line has with it where it stood in its replica's log, so that a crash
 * never parts the two; what older files say of that stands beside the newest one. No file is open between two writes.
 */
export class AppLog {
  readonly #folder: string
  readonly #options: AppLogOptions
  readonly #cursors: Map<string, string>
  /** Those of lines that are in the files. */
  readonly #written: Map<string, string>
  #segments: Segment[]
  #seq: number
  #sizeBytes: number
  /** The end of the file may be half of a line: a crash or a full disk left it. */
  #torn: boolean
  #waiting: LogLine[] = []
  #waitingCharacters = 0
  #scheduled: NodeJS.Immediate | undefined
  #cancelRetry: (() => void) | undefined

  private constructor(folder: string, options: AppLogOptions, begun: Begun) {
    this.#folder = folder
    this.#options = options
    this.#segments = begun.segments
    this.#seq = begun.seq
    this.#sizeBytes = begun.sizeBytes
    this.#torn = begun.segments.length > 0
    this.#written = begun.cursors
    this.#cursors = new Map(begun.cursors)
  }

  static async open(folder: string, options: AppLogOptions): Promise<AppLog> {
    return new AppLog(folder, options, await readBegun(folder))
  }

  /** Where a replica's last line stood that is here. */
  cursorOf(replica: string): string | undefined {
    return this.#cursors.get(replica)
  }

  /** It prints no more. */
  forget(replica: string): void {
    this.#cursors.delete(replica)
    this.#written.delete(replica)
  }

  /** On a disk that is full it resolves when there is room again: what cannot be written stays with the engine. */
  async add(line: Omit<LogLine, 'seq'> & { readonly replica: string }, signal: AbortSignal): Promise<void> {
    this.#seq += 1
    const text = shortened(line.text)
    this.#waiting.push({ seq: this.#seq, ...line, text })
    this.#waitingCharacters += text.length
    if (line.cursor !== undefined) this.#cursors.set(line.replica, line.cursor)
    if (this.#waiting.length < linesAtOnce && this.#waitingCharacters < charactersAtOnce) {
      this.#scheduled ??= setImmediate(() => this.flush())
      return
    }
    while (!this.flush()) await this.#options.clock.sleep(retryMs, signal)
  }

  /** False: the disk is full, and it is tried again. */
  flush(): boolean {
    clearImmediate(this.#scheduled)
    this.#scheduled = undefined
    this.#cancelRetry?.()
    this.#cancelRetry = undefined
    const [first] = this.#waiting
    if (first === undefined) return true
    const bytes = Buffer.from(this.#waiting.map((line) => `${JSON.stringify(line)}\n`).join(''))
    try {
      this.#write(this.#segmentFor(bytes.length, first.seq), bytes)
    } catch {
      this.#torn = true
      this.#cancelRetry = this.#options.clock.after(retryMs, () => this.flush())
      return false
    }
    for (const { replica, cursor } of this.#waiting)
      if (replica !== undefined && cursor !== undefined) this.#written.set(replica, cursor)
    this.#waiting = []
    this.#waitingCharacters = 0
    this.#options.onMore()
    return true
  }

  /** Lines for which there is no room are read again from the engine by the next one that opens the log. */
  close(): void {
    this.flush()
    this.#cancelRetry?.()
  }

  #segmentFor(bytes: number, seq: number): Segment {
    const newest = this.#segments.at(-1)
    const segmentBytes = this.#options.maxBytes / segmentCount
    if (newest !== undefined && (this.#sizeBytes === 0 || this.#sizeBytes + bytes <= segmentBytes))
      return newest
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    const path = join(this.#folder, `${String(seq).padStart(16, '0')}.log`)
    writeFileSync(`${path}.new`, JSON.stringify(Object.fromEntries(this.#written)), { mode: 0o600 })
    renameSync(`${path}.new`, cursorsBeside(path))
    appendFileSync(path, '', { mode: 0o600 })
    const segment = { first: seq, path }
    this.#segments.push(segment)
    this.#sizeBytes = 0
    this.#torn = false
    for (const old of this.#segments.splice(0, Math.max(0, this.#segments.length - segmentCount))) {
      rmSync(old.path, { force: true })
      rmSync(cursorsBeside(old.path), { force: true })
    }
    return segment
  }

  #write({ path }: Segment, bytes: Buffer): void {
    if (this.#torn) {
      truncateSync(path, this.#sizeBytes)
      this.#torn = false
    }
    appendFileSync(path, bytes)
    this.#sizeBytes += bytes.length
  }
}

interface Begun {
  readonly segments: Segment[]
  readonly seq: number
  readonly sizeBytes: number
  readonly cursors: Map<string, string>
}

/** What the files say, up to the last whole line. */
async function readBegun(folder: string): Promise<Begun> {
  const segments = await segmentsIn(folder)
  const newest = segments.at(-1)
  if (newest === undefined) return { segments, seq: 0, sizeBytes: 0, cursors: new Map() }
  const cursors = cursorsAt(cursorsBeside(newest.path))
  let seq = newest.first - 1
  let sizeBytes = 0
  await using file = await LogFile.find(newest.path)
  for await (const { line, end } of file?.lines(0, await file.size()) ?? []) {
    seq = line.seq
    sizeBytes = end
    if (line.replica !== undefined && line.cursor !== undefined) cursors.set(line.replica, line.cursor)
  }
  return { segments, seq, sizeBytes, cursors }
}

function cursorsBeside(path: string): string {
  return path.replace(/\.log$/, '.cursors')
}

function cursorsAt(path: string): Map<string, string> {
  try {
    return new Map(Object.entries(JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>))
  } catch {
    return new Map()
  }
}

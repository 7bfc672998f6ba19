import {
  appendFileSync,
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { Clock, LogLine, LogStream } from '@rivetr/sdk'
import { chunkBytes, takeOutput } from './output-file.ts'

const streams = ['stdout', 'stderr'] as const
/** Pause until it is looked for more: doubles while there is nothing. */
const firstPauseMs = 100
const longestPauseMs = 1_000

interface ReadOptions {
  readonly follow: boolean
  readonly tail?: number | undefined
  /** Only lines of a greater number. */
  readonly after?: number | undefined
  readonly signal: AbortSignal
  /** Whether the replica has ended: then a last line without an end counts, and following ends. */
  readonly ended: () => boolean
}

/** How far the two outputs were taken into the log. Replaced after each time; what the log has beyond it is dropped. */
interface Position {
  seq: number
  logBytes: number
  stdout: number
  stderr: number
}

/** Where a reader stands: in which log file since the first that this process began, and at which byte. */
interface Cursor {
  readonly turn: number
  readonly offset: number
}

/**
 * What a replica printed, with times and numbers. A replica prints straight to two files, which needs no Rivetr; from
 * them lines are taken into the log whenever somebody looks. Takes and reads happen without a pause in between, so that
 * no lock is needed. The log is one file and the one before it, together of a limited size.
 */
export class ReplicaLog {
  readonly #folder: string
  readonly #maxBytes: number
  readonly #clock: Clock
  readonly #position: Position
  #turn = 1
  /** Whether somebody who follows has taken output since the last `tend`. */
  #isFollowed = false

  constructor(folder: string, maxBytes: number, clock: Clock) {
    this.#folder = folder
    this.#maxBytes = maxBytes
    this.#clock = clock
    this.#position = this.#restore()
  }

  /** The files to which a replica's standard output and error go. */
  static outputsIn(folder: string): readonly [string, string] {
    return [join(folder, 'stdout'), join(folder, 'stderr')]
  }

  /** Takes new output into the log. */
  collect(ended: boolean): void {
    // Not until there is nothing left: something may print faster than this reads.
    const rounds = Math.ceil(this.#maxBytes / chunkBytes) + 1
    for (const stream of streams) for (let round = 0; round < rounds && this.#take(stream, ended); round++) {}
  }

  /** The same, unless somebody follows: who reads takes by himself, so that nothing is moved on before he has read it. */
  tend(ended: boolean): void {
    if (!this.#isFollowed) this.collect(ended)
    this.#isFollowed = false
  }

  async *read({ follow, tail, after, signal, ended }: ReadOptions): AsyncIterable<LogLine> {
    let cursor: Cursor = { turn: this.#turn - 1, offset: 0 }
    // A power cut may have taken the numbers back: then what there is is another log.
    let seq = after !== undefined && after <= this.#position.seq ? after : undefined
    let pauseMs = firstPauseMs
    for (let first = true; ; first = false) {
      const isOver = ended()
      if (first && (tail !== undefined || !follow)) this.collect(isOver)
      let isMore = false
      this.#isFollowed = follow
      // Each time as much as the log has room for beside what was not read yet: a reader misses nothing of what it waits for.
      for (const stream of streams) {
        isMore = this.#take(stream, isOver) || isMore
        const lines = this.#linesFrom(cursor)
        cursor = { turn: this.#turn, offset: this.#position.logBytes }
        for (const line of first && tail !== undefined ? lastOf(lines, tail) : lines) {
          if (signal.aborted) return
          if (seq !== undefined && line.seq <= seq) continue
          pauseMs = firstPauseMs
          if (seq !== undefined && line.seq > seq + 1) yield gapBefore(line, line.seq - seq - 1)
          seq = line.seq
          yield line
        }
        if (first && tail !== undefined) break
      }
      if (isMore) {
        await setImmediate() // all of this is done without a pause: others have their turn, too
        continue
      }
      if (!follow || isOver) return
      await this.#clock.sleep(pauseMs, signal).catch(() => undefined)
      pauseMs = Math.min(pauseMs * 2, longestPauseMs)
      if (signal.aborted) return
    }
  }

  /** Returns whether there may be more. */
  #take(stream: (typeof streams)[number], ended: boolean): boolean {
    const path = join(this.#folder, stream)
    const position = this.#position
    const size = statSync(path, { throwIfNoEntry: false })?.size
    if (size === undefined || size === position[stream]) return false
    const { lines, offset, skippedBytes } = takeOutput(path, position[stream], ended, this.#maxBytes)
    if (skippedBytes > 0)
      this.#append('rivetr', [
        `${skippedBytes} bytes of ${stream} are left out: it prints faster than is kept`,
      ])
    this.#append(stream, lines)
    const moved = offset !== position[stream]
    position[stream] = offset
    if (moved) this.#save()
    return moved && lines.length > 0
  }

  #append(stream: LogStream, texts: readonly string[]): void {
    if (texts.length === 0) return
    const at = new Date(this.#clock.now()).toISOString()
    let { seq } = this.#position
    const lines = texts.map((text) => `${JSON.stringify({ seq: ++seq, at, stream, text })}\n`)
    if (this.#position.logBytes > this.#maxBytes / 2) {
      renameSync(this.#log, this.#oldLog)
      this.#position.logBytes = 0
      this.#turn += 1
    }
    const bytes = Buffer.from(lines.join(''))
    this.#cutTorn()
    appendFileSync(this.#log, bytes, { mode: 0o600 }) // on a full disk it throws, and the lines are taken later
    this.#position.seq = seq
    this.#position.logBytes += bytes.length
  }

  /** What the last append left when the disk became full under it. */
  #cutTorn(): void {
    const written = statSync(this.#log, { throwIfNoEntry: false })?.size ?? 0
    if (written > this.#position.logBytes) truncateSync(this.#log, this.#position.logBytes)
  }

  #linesFrom({ turn, offset }: Cursor): LogLine[] {
    if (turn === this.#turn) return linesIn(this.#log, offset)
    return [...linesIn(this.#oldLog, turn === this.#turn - 1 ? offset : 0), ...linesIn(this.#log, 0)]
  }

  #restore(): Position {
    const position = positionIn(this.#positionFile)
    const written = statSync(this.#log, { throwIfNoEntry: false })?.size ?? 0
    if (written > position.logBytes) truncateSync(this.#log, position.logBytes)
    return { ...position, logBytes: Math.min(written, position.logBytes) }
  }

  #save(): void {
    writeFileSync(`${this.#positionFile}.new`, JSON.stringify(this.#position), { mode: 0o600 })
    renameSync(`${this.#positionFile}.new`, this.#positionFile)
  }

  get #log(): string {
    return join(this.#folder, 'log')
  }

  get #oldLog(): string {
    return join(this.#folder, 'log.old')
  }

  get #positionFile(): string {
    return join(this.#folder, 'log.position')
  }
}

/** From the beginning where there is none: also after a power cut, for which it is not made durable. */
function positionIn(path: string): Position {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Position
  } catch {
    return { seq: 0, logBytes: 0, stdout: 0, stderr: 0 }
  }
}

function linesIn(path: string, offset: number): LogLine[] {
  if (!existsSync(path)) return []
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - offset))
    readSync(file, bytes, 0, bytes.length, offset)
    return bytes
      .toString('utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as LogLine)
  } finally {
    closeSync(file)
  }
}

/** For who reads more slowly than is printed, while others have what is printed taken into the log. */
function gapBefore({ seq, at }: LogLine, count: number): LogLine {
  return {
    seq: seq - 1,
    at,
    stream: 'rivetr',
    text: `${count} lines are left out: they came faster than they were read`,
  }
}

function lastOf(lines: readonly LogLine[], count: number): readonly LogLine[] {
  return count === 0 ? [] : lines.slice(-count)
}

import { EventEmitter, once } from 'node:events'
import { appendFileSync, closeSync, fstatSync, ftruncateSync, openSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock, LogLine, LogQuery, LogStream } from '@rivetr/sdk'
import { mask } from '@rivetr/sdk/kit'
import { cutLines, LogFile, shortened } from './log-file.ts'

/** So many lines wait for room on a full disk; after that the oldest of them go, and a line says so. */
const mostWaiting = 5_000
/** Lines are written together, but not more than these. */
const writtenAtOnce = 500
/** How long it takes until a disk that was full is tried again. */
const retryMs = 1_000

/** The logs of all deployments: a file each, one JSON line per line of log, never a row per line. */
export class DeploymentLogs {
  readonly #folder: string
  readonly #clock: Clock
  readonly #open = new Map<string, DeploymentLog>()

  constructor(dataDir: string, clock: Clock) {
    this.#folder = join(dataDir, 'logs', 'deployments')
    this.#clock = clock
  }

  /** The one writer of a deployment's log. */
  async write(id: string): Promise<DeploymentLog> {
    const known = this.#open.get(id)
    if (known !== undefined && !known.closed) return known
    await known?.close()
    const log = await DeploymentLog.open(this.#file(id), this.#clock, () => this.#open.delete(id))
    this.#open.set(id, log)
    return log
  }

  /**
   * Lines in order, each once; with `follow` until the log that is written now is closed. A follower reads from the file what
   * it has not read: however slow it is, nothing is kept for it.
   */
  async *read(id: string, { after = 0, tail, follow = false, signal }: LogQuery): AsyncGenerator<LogLine> {
    let position: number | undefined
    let last = after
    let kept: LogLine[] | undefined = tail === undefined ? undefined : []
    for (;;) {
      const writer = this.#open.get(id)
      const more = follow && !signal.aborted ? writer?.grown(signal) : undefined // asked first, so that no line falls between
      writer?.flush()
      await using file = await LogFile.find(this.#file(id))
      const until = writer?.sizeBytes ?? (await file?.size()) ?? 0
      position ??= await beginning(file, { after, tail, until })
      for await (const line of this.#lines(file, writer, { position, until })) {
        if (line.seq <= last) continue // it waits although a part of what waits was written
        last = line.seq
        if (kept === undefined) yield line
        else if (kept.push(line) > (tail ?? 0)) kept.shift()
      }
      position = until
      if (kept !== undefined) yield* kept
      kept = undefined
      if (more === undefined || signal.aborted) return
      await more
    }
  }

  async remove(id: string): Promise<void> {
    await rm(this.#file(id), { force: true })
  }

  async *#lines(
    file: LogFile | undefined,
    writer: DeploymentLog | undefined,
    { position, until }: { position: number; until: number },
  ): AsyncGenerator<LogLine> {
    const waiting = [...(writer?.waiting ?? [])]
    for await (const { line } of file?.lines(position, until) ?? []) yield line
    yield* waiting
  }

  #file(id: string): string {
    return join(this.#folder, `${id}.log`)
  }
}

/** One deployment's log while it is written. */
export class DeploymentLog {
  readonly #file: number
  readonly #clock: Clock
  readonly #onClose: () => void
  readonly #news = new EventEmitter().setMaxListeners(0)
  #seq: number
  #sizeBytes: number
  #closing: Promise<number> | undefined
  #torn = false
  #scheduled: NodeJS.Immediate | undefined
  #retryAt = 0
  #waiting: LogLine[] = []
  #leftOut: { readonly count: number; readonly last: LogLine } | undefined
  readonly #secrets = new Set<string>()
  #mask = mask([])

  private constructor(file: number, seq: number, sizeBytes: number, clock: Clock, onClose: () => void) {
    this.#file = file
    this.#seq = seq
    this.#sizeBytes = sizeBytes
    this.#clock = clock
    this.#onClose = onClose
  }

  static async open(path: string, clock: Clock, onClose: () => void): Promise<DeploymentLog> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const seq = await lastNumber(path)
    const file = openSync(path, 'a', 0o600)
    if (fstatSync(file).size > 0) appendFileSync(file, '\n') // a line that a crash cut off ends here
    return new DeploymentLog(file, seq, fstatSync(file).size, clock, onClose)
  }

  /** Blots these values out of every line from now on. */
  hide(secrets: Iterable<string>): void {
    for (const secret of secrets) this.#secrets.add(secret)
    this.#mask = mask(this.#secrets)
  }

  /** After the log was closed (a tap that writes late) a line goes nowhere. */
  line(text: string, stream: LogStream, from: string | undefined): void {
    if (this.closed) return
    this.#seq += 1
    const line: LogLine = {
      seq: this.#seq,
      at: new Date(this.#clock.now()).toISOString(),
      stream,
      text: shortened(this.#mask(text)),
      ...(from ? { from } : {}),
    }
    this.#waiting.push(line)
    this.#news.emit('more')
    if (this.#clock.now() < this.#retryAt) return
    // Who prints faster than this can be written has to wait for it: nothing else keeps the memory bounded.
    if (this.#waiting.length >= writtenAtOnce) this.flush()
    else this.#scheduled ??= setImmediate(() => this.flush())
  }

  /** On a disk that is full the lines wait, and nothing else does. */
  flush(): void {
    clearImmediate(this.#scheduled)
    this.#scheduled = undefined
    if (this.waiting.length === 0) return
    const lines = this.#waiting
    const bytes = Buffer.from(this.waiting.map((line) => `${JSON.stringify(line)}\n`).join(''))
    try {
      if (this.#torn) ftruncateSync(this.#file, this.#sizeBytes)
      appendFileSync(this.#file, bytes)
      this.#sizeBytes += bytes.length
      this.#torn = false
      this.#leftOut = undefined
      this.#waiting = []
    } catch {
      this.#torn = true // some of the lines may stand there, and half of one
      this.#retryAt = this.#clock.now() + retryMs
      this.#keep(lines)
    }
  }

  /** What there is no room for yet. */
  get waiting(): readonly LogLine[] {
    return this.#leftOut === undefined ? this.#waiting : [leftOutLine(this.#leftOut), ...this.#waiting]
  }

  /** How much of the file is whole lines. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** When the next line is there, the log is closed, or the signal aborts. */
  async grown(signal: AbortSignal): Promise<void> {
    await once(this.#news, 'more', { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error
    })
  }

  get closed(): boolean {
    return this.#closing !== undefined
  }

  /** Returns how many lines could not be written. */
  close(): Promise<number> {
    this.#closing ??= this.#end()
    return this.#closing
  }

  /** It is forgotten when all of it is in the file: who reads it then has the whole. */
  async #end(): Promise<number> {
    this.flush()
    this.#onClose()
    this.#news.emit('more')
    closeSync(this.#file)
    return this.#waiting.length + (this.#leftOut?.count ?? 0)
  }

  #keep(lines: readonly LogLine[]): void {
    const surplus = Math.max(0, lines.length - mostWaiting)
    this.#waiting = lines.slice(surplus)
    const last = lines[surplus - 1]
    if (last !== undefined) this.#leftOut = { count: surplus + (this.#leftOut?.count ?? 0), last }
  }
}

/** Stands where the lines would, with the number of the last of them. */
function leftOutLine({ count, last }: { readonly count: number; readonly last: LogLine }): LogLine {
  const text = `${count} lines are left out here: they could not be written`
  return { seq: last.seq, at: last.at, stream: 'rivetr', text }
}

async function beginning(
  file: LogFile | undefined,
  { after, tail, until }: { after: number; tail: number | undefined; until: number },
): Promise<number> {
  if (file === undefined) return 0
  const unread = await file.positionAfter(after, until)
  return tail === undefined ? unread : Math.max(unread, await file.positionOfLast(tail + cutLines, until))
}

async function lastNumber(path: string): Promise<number> {
  await using file = await LogFile.find(path)
  return (await file?.lastNumber()) ?? 0
}

import { EventEmitter, on } from 'node:events'
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock, LogLine, LogQuery, LogStream } from '@rivetr/sdk'
import { mask } from '@rivetr/sdk/kit'

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
    if (known !== undefined) return known
    const log = await DeploymentLog.open(this.#file(id), this.#clock, () => this.#open.delete(id))
    this.#open.set(id, log)
    return log
  }

  /** Lines in order, each once; with `follow` until the log that is written now is closed. */
  async *read(id: string, { after = 0, tail, follow = false, signal }: LogQuery): AsyncGenerator<LogLine> {
    const writer = this.#open.get(id)
    const news = follow && writer !== undefined ? writer.follow(signal) : undefined // before the file, so that no line falls between
    await writer?.flush()
    let last = after
    const kept: LogLine[] = []
    for await (const line of readLines(this.#file(id))) {
      if (line.seq <= after) continue
      last = line.seq
      if (tail === undefined) yield line
      else {
        kept.push(line)
        if (kept.length > tail) kept.shift()
      }
    }
    yield* kept
    if (news === undefined) return
    for await (const line of news) if (line.seq > last) yield line
  }

  async remove(id: string): Promise<void> {
    await rm(this.#file(id), { force: true })
  }

  #file(id: string): string {
    return join(this.#folder, `${id}.log`)
  }
}

/** One deployment's log while it is written. */
export class DeploymentLog {
  readonly #file: FileHandle
  readonly #clock: Clock
  readonly #onClose: () => void
  readonly #lines = new EventEmitter().setMaxListeners(0)
  #seq: number
  #closed = false
  #torn = false
  #written: Promise<unknown> = Promise.resolve()
  #waiting: string[] = []
  readonly #secrets = new Set<string>()
  #mask = mask([])

  private constructor(file: FileHandle, seq: number, clock: Clock, onClose: () => void) {
    this.#file = file
    this.#seq = seq
    this.#clock = clock
    this.#onClose = onClose
  }

  static async open(path: string, clock: Clock, onClose: () => void): Promise<DeploymentLog> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    let seq = 0
    for await (const line of readLines(path)) seq = line.seq
    const file = await open(path, 'a', 0o600)
    if ((await file.stat()).size > 0) await file.appendFile('\n') // a line that a crash cut off ends here
    return new DeploymentLog(file, seq, clock, onClose)
  }

  /** Blots these values out of every line from now on. */
  hide(secrets: Iterable<string>): void {
    for (const secret of secrets) this.#secrets.add(secret)
    this.#mask = mask(this.#secrets)
  }

  /** After the log was closed (a tap that writes late) a line goes nowhere. */
  line(text: string, stream: LogStream, from: string | undefined): void {
    if (this.#closed) return
    this.#seq += 1
    const line: LogLine = {
      seq: this.#seq,
      at: new Date(this.#clock.now()).toISOString(),
      stream,
      text: this.#mask(text),
      ...(from ? { from } : {}),
    }
    this.#lines.emit('line', line)
    this.#waiting.push(written(line))
    if (this.#waiting.length === 1) this.#written = this.#written.then(() => this.#drain())
  }

  async flush(): Promise<void> {
    await this.#written
  }

  /** What is written from this moment on, until the log is closed or the signal aborts. */
  follow(signal: AbortSignal): AsyncIterable<LogLine> {
    const lines = on(this.#lines, 'line', { signal, close: ['end'] })
    return {
      async *[Symbol.asyncIterator]() {
        try {
          for await (const [line] of lines) yield line as LogLine
        } catch (error) {
          if (!signal.aborted) throw error
        }
      },
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#onClose()
    await this.flush()
    this.#lines.emit('end')
    await this.#file.close()
  }

  /** On a disk that is full the lines are lost, and nothing else: the deployment goes on, and so does its log once there is room. */
  async #drain(): Promise<void> {
    const lines = this.#waiting.splice(0)
    try {
      await this.#file.appendFile(`${this.#torn ? '\n' : ''}${lines.join('\n')}\n`)
      this.#torn = false
    } catch {
      this.#torn = true // half a line may stand there
    }
  }
}

async function* readLines(path: string): AsyncGenerator<LogLine> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (file === undefined) return
  for await (const text of file.readLines()) {
    const line = parse(text)
    if (line !== undefined) yield line
  }
}

/** One line of the file, whatever is in it: readers of lines also end one at U+2028 and U+2029, which JSON leaves as they are. */
function written(line: LogLine): string {
  return JSON.stringify(line).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')
}

/** Undefined for a line that a crash cut off. */
function parse(text: string): LogLine | undefined {
  try {
    return JSON.parse(text) as LogLine
  } catch {
    return undefined
  }
}

import { type FileHandle, open, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { EdgeOutcome } from '@rivetr/sdk/edge'
import { log } from '../launcher/log.ts'
import type { EdgeSettings } from '../launcher/protocol.ts'

type Settings = Pick<EdgeSettings, 'accessLog' | 'accessLogFileBytes' | 'accessLogFiles'>

/** Relative, as that of the snapshot is: the folder around the edge's own is closed to its uid. */
const fileName = 'access.log'
const flushEveryMs = 200
/** A disk that is slower than the requests costs lines, never memory or time of an edge. */
const unwrittenLimit = 4 * 1024 * 1024
const longestPath = 2_048

/** Requests as lines of JSON. Whoever writes one waits for nothing. */
export class AccessLog {
  #text = ''
  #lines = 0
  #dropped = 0
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> | undefined
  #file: FileHandle | undefined
  #sizeBytes = 0
  readonly #settings: Settings
  readonly #path: string

  constructor(settings: Settings, folder = '.') {
    this.#settings = settings
    this.#path = join(folder, fileName)
  }

  get on(): boolean {
    return this.#settings.accessLog !== 'off'
  }

  write(outcome: EdgeOutcome): void {
    const { accessLog } = this.#settings
    if (accessLog === 'errors' && outcome.error === undefined && (outcome.status ?? 0) < 500) return
    if (this.#text.length > unwrittenLimit) {
      this.#dropped += 1
      return
    }
    this.#text += lineOf(outcome)
    this.#lines += 1
    this.#flushSoon()
  }

  /** Writes what there is. */
  async close(): Promise<void> {
    await this.#writing
    await this.#flush()
    await this.#file?.close()
    this.#file = undefined
  }

  #flushSoon(): void {
    if (this.#writing !== undefined) return
    this.#timer ??= setTimeout(() => {
      this.#writing = this.#flush().finally(() => {
        this.#writing = undefined
        if (this.#lines > 0) this.#flushSoon()
      })
    }, flushEveryMs).unref()
  }

  async #flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#lines === 0) return
    const [text, lines, dropped] = [this.#text, this.#lines, this.#dropped]
    this.#text = ''
    this.#lines = 0
    try {
      this.#file ??= await this.#open()
      const notice = dropped === 0 ? '' : `{"at":"${timeOf(Date.now())}","dropped":${dropped}}\n`
      const { bytesWritten } = await this.#file.write(text + notice)
      this.#dropped -= dropped
      this.#sizeBytes += bytesWritten
      if (this.#sizeBytes >= this.#settings.accessLogFileBytes) await this.#rotate(this.#file)
    } catch (error) {
      if (dropped === 0)
        log('the access log cannot be written; its lines are counted', { error: String(error) })
      this.#dropped += lines
      await this.#file?.close().catch(() => undefined)
      this.#file = undefined
    }
  }

  async #open(): Promise<FileHandle> {
    const file = await open(this.#path, 'a', 0o600)
    this.#sizeBytes = (await file.stat()).size
    return file
  }

  /** For a moment two edges write the same file, when one replaces the other: only one of them puts it aside. */
  async #rotate(file: FileHandle): Promise<void> {
    this.#file = undefined
    const [mine, there] = await Promise.all([file.stat(), stat(this.#path).catch(() => undefined)])
    await file.close()
    if (mine.ino !== there?.ino) return
    for (let n = this.#settings.accessLogFiles; n > 0; n -= 1)
      await rename(n === 1 ? this.#path : `${this.#path}.${n - 1}`, `${this.#path}.${n}`).catch(ignoreMissing)
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}

/** Written by hand: JSON.stringify of the whole takes four times as long. Only what comes from outside needs its escapes. */
function lineOf(outcome: EdgeOutcome): string {
  const { atMs, requestId, client, method, host, path, status, bytesIn, bytesOut, durationMs } = outcome
  const { protocol, app, replica, error } = outcome
  let line = `{"at":"${timeOf(atMs)}","requestId":"${requestId}","client":${JSON.stringify(client)},"method":"${method}"`
  if (host !== undefined) line += `,"host":${JSON.stringify(host)}`
  line += `,"path":${JSON.stringify(path.length > longestPath ? path.slice(0, longestPath) : path)}`
  if (status !== undefined) line += `,"status":${status}`
  line += `,"bytesIn":${bytesIn},"bytesOut":${bytesOut},"durationMs":${Math.round(durationMs * 10) / 10}`
  if (app !== undefined) line += `,"app":${JSON.stringify(app.name)}`
  if (replica !== undefined) line += `,"replica":${JSON.stringify(replica)}`
  line += `,"protocol":"${protocol}"`
  if (error !== undefined) line += `,"error":${JSON.stringify(error)}`
  return `${line}}\n`
}

let secondMs = 0
let second = ''

/** ISO 8601. What is above the milliseconds is the same for a thousand requests. */
function timeOf(ms: number): string {
  const inSecondMs = ms % 1_000
  if (ms - inSecondMs !== secondMs) {
    secondMs = ms - inSecondMs
    second = new Date(secondMs).toISOString().slice(0, 20)
  }
  return `${second}${String(inSecondMs).padStart(3, '0')}Z`
}

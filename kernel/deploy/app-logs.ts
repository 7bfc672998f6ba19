import { EventEmitter, once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock, LogLine, LogQuery } from '@rivetr/sdk'
import { AppLog, type Segment, segmentsIn } from './app-log.ts'
import { LogFile } from './log-file.ts'

/** What the replicas of all apps print: files for each app, one JSON line per line. */
export class AppLogs {
  readonly #folder: string
  readonly #maxBytes: number
  readonly #clock: Clock
  readonly #writers = new Map<string, Writer>()
  readonly #news = new EventEmitter().setMaxListeners(0)

  constructor(dataDir: string, maxBytes: number, clock: Clock) {
    this.#folder = join(dataDir, 'logs', 'apps')
    this.#maxBytes = maxBytes
    this.#clock = clock
  }

  /** Gives work the one writer of an app's log, which is there as long as anybody works with it. */
  async writing<T>(app: string, work: (log: AppLog) => Promise<T>): Promise<T> {
    const writer = this.#writers.get(app) ?? this.#open(app)
    writer.users += 1
    try {
      return await work(await writer.log)
    } finally {
      writer.users -= 1
      if (writer.users === 0) {
        this.#writers.delete(app)
        writer.opened?.close()
      }
    }
  }

  /**
   * Lines in order, each once; with `follow` until the app is removed or the signal aborts. Who reads more slowly than the oldest
   * lines go is told how many it missed: nothing is kept for it.
   */
  async *read(app: string, query: LogQuery): AsyncGenerator<LogLine> {
    const { tail, follow = false, signal } = query
    const wanted = filterOf(query)
    const place: Place = { last: query.after ?? 0, segment: undefined, position: 0 }
    if (tail !== undefined && wanted === undefined)
      place.last = Math.max(place.last, (await this.#newest(app)) - tail)
    let kept: LogLine[] | undefined = tail !== undefined && wanted !== undefined ? [] : undefined
    for (;;) {
      const more = follow && !signal.aborted ? this.#grown(app, signal) : undefined // asked first, so that no line falls between
      this.#writers.get(app)?.opened?.flush()
      for await (const line of this.#lines(app, place)) {
        if (signal.aborted) return
        if (wanted !== undefined && !wanted(line)) continue
        if (kept === undefined) yield line
        else if (kept.push(line) > (tail ?? 0)) kept.shift()
      }
      if (kept !== undefined) yield* kept
      kept = undefined
      if ((await more) !== 'more') return
    }
  }

  async remove(app: string): Promise<void> {
    await rm(this.#folderOf(app), { recursive: true, force: true })
    this.#news.emit(app, 'removed')
  }

  #open(app: string): Writer {
    const onMore = () => void this.#news.emit(app, 'more')
    const options = { maxBytes: this.#maxBytes, clock: this.#clock, onMore }
    const writer: Writer = { log: AppLog.open(this.#folderOf(app), options), users: 0 }
    this.#writers.set(app, writer)
    void writer.log.then(
      (log) => (writer.opened = log),
      () => undefined,
    )
    return writer
  }

  async #newest(app: string): Promise<number> {
    this.#writers.get(app)?.opened?.flush()
    const newest = (await segmentsIn(this.#folderOf(app))).at(-1)
    if (newest === undefined) return 0
    await using file = await LogFile.find(newest.path)
    return Math.max((await file?.lastNumber()) ?? 0, newest.first - 1)
  }

  /** All that there is now behind a place, which goes along. */
  async *#lines(app: string, place: Place): AsyncGenerator<LogLine> {
    for (let segment = await this.#segmentAt(app, place); segment !== undefined; ) {
      if (place.segment !== segment.first) {
        if (place.last > 0 && segment.first > place.last + 1)
          yield goneLine(segment.first - place.last - 1, segment)
        place.segment = segment.first
        place.position = 0
        place.last = Math.max(place.last, segment.first - 1)
      }
      yield* linesBehind(segment, place)
      const { first } = segment
      segment = (await segmentsIn(this.#folderOf(app))).find((each) => each.first > first)
    }
  }

  async #segmentAt(app: string, { last, segment }: Place): Promise<Segment | undefined> {
    const segments = await segmentsIn(this.#folderOf(app))
    return (
      segments.find(({ first }) => first === segment) ??
      segments.findLast(({ first }) => first <= last + 1) ??
      segments[0]
    )
  }

  /** Undefined when the signal aborts. */
  async #grown(app: string, signal: AbortSignal): Promise<string | undefined> {
    try {
      const [what] = (await once(this.#news, app, { signal })) as [string]
      return what
    } catch (error) {
      if (!signal.aborted) throw error
      return undefined
    }
  }

  #folderOf(app: string): string {
    return join(this.#folder, app)
  }
}

interface Writer {
  readonly log: Promise<AppLog>
  /** Once it is there. */
  opened?: AppLog
  users: number
}

/** How far somebody has read. */
interface Place {
  last: number
  segment: number | undefined
  position: number
}

async function* linesBehind({ path }: Segment, place: Place): AsyncGenerator<LogLine> {
  await using file = await LogFile.find(path)
  if (file === undefined) return // it has gone meanwhile
  const until = await file.size()
  if (place.position === 0) place.position = await file.positionAfter(place.last, until)
  for await (const { line, end } of file.lines(place.position, until)) {
    place.position = end
    if (line.seq <= place.last) continue
    place.last = line.seq
    yield line
  }
}

/** Undefined: all of them. */
function filterOf({ since, replica, process }: LogQuery): ((line: LogLine) => boolean) | undefined {
  if (since === undefined && replica === undefined && process === undefined) return undefined
  const from = since === undefined ? Number.NEGATIVE_INFINITY : Date.parse(since)
  return (line) =>
    Date.parse(line.at) >= from &&
    (replica === undefined || line.replica === replica) &&
    (process === undefined || line.from?.replace(/\.\d+$/, '') === process)
}

function goneLine(count: number, { first }: Segment): LogLine {
  const text = `${count} lines are left out here: they are kept no longer`
  return { seq: first - 1, at: new Date(0).toISOString(), stream: 'rivetr', text }
}

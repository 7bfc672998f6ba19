import { StringDecoder } from 'node:string_decoder'
import type { LogFrame } from './log-frames.ts'

export interface PrintedLine {
  readonly stream: 'stdout' | 'stderr'
  readonly text: string
  /** ISO 8601, where the engine was asked for timestamps. */
  readonly at: string | undefined
  /** See `placeOf`; there where there are timestamps. */
  readonly cursor?: string | undefined
}

/**
 * A place in a log: the time of a frame before which no line was half, and how many lines came from there on. Engines find
 * lines by time alone, several have the same, and Podman 4 tells whole seconds.
 */
interface Place {
  /** Seconds since 1970 with nine digits behind the point: to be compared as text. */
  readonly time: string
  readonly lines: number
}

/** Undefined for what no engine's log has given. */
export function placeOf(cursor: string | undefined): Place | undefined {
  const [, time, lines] = /^(\d+\.\d{9})\/(\d+)$/.exec(cursor ?? '') ?? []
  return time === undefined ? undefined : { time, lines: Number(lines) }
}

/** A longer line is cut into pieces of this many characters: output without line ends cannot fill the memory. */
const longestLine = 64 * 1024

/**
 * Cuts frames into lines, each stream for itself and never inside a character. With timestamps the engine puts one
 * before each frame: before each line, and before each part of a line that is too long for its log.
 */
export async function* printedLines(
  frames: AsyncIterable<LogFrame>,
  options: { readonly timestamps: boolean; readonly after?: Place | undefined },
): AsyncGenerator<PrintedLine> {
  const { timestamps, after } = options
  const cutters = { stdout: new LineCutter('stdout'), stderr: new LineCutter('stderr') }
  const counter = new PlaceCounter(after)
  for await (const { stream, bytes } of frames) {
    const { at, time, payload } = timestamps
      ? splitTimestamp(bytes)
      : { at: undefined, time: undefined, payload: bytes }
    if (after !== undefined && time !== undefined && time < after.time) continue
    counter.reach(time, cutters.stdout.isBetweenLines && cutters.stderr.isBetweenLines)
    yield* counter.count(cutters[stream].cut(payload, at))
  }
  yield* counter.count(cutters.stdout.flush())
  yield* counter.count(cutters.stderr.flush())
}

/** Says of each line where it stands, and leaves out those that were read before. */
class PlaceCounter {
  readonly #after: Place | undefined
  #time: string | undefined
  #lines = 0
  #frameTime: string | undefined

  constructor(after: Place | undefined) {
    this.#after = after
  }

  /** The next frame is of this time: a place, if it is the first one of it and no line is half. */
  reach(time: string | undefined, isBetweenLines: boolean): void {
    const isFirst = time !== this.#frameTime
    this.#frameTime = time
    if (!isFirst || !isBetweenLines) return
    this.#time = time
    this.#lines = 0
  }

  *count(lines: Iterable<PrintedLine>): Generator<PrintedLine> {
    for (const line of lines) {
      this.#lines += 1
      if (this.#time === undefined) yield line
      // Of a log that the engine has cut off there are other lines than those that were read.
      else if (this.#time !== this.#after?.time || this.#lines > this.#after.lines)
        yield { ...line, cursor: `${this.#time}/${this.#lines}` }
    }
  }
}

class LineCutter {
  private readonly stream: PrintedLine['stream']
  private readonly decoder = new StringDecoder('utf8')
  private rest = ''
  private at: string | undefined

  constructor(stream: PrintedLine['stream']) {
    this.stream = stream
  }

  get isBetweenLines(): boolean {
    return this.rest === ''
  }

  *cut(bytes: Buffer, at: string | undefined): Generator<PrintedLine> {
    if (this.rest === '') this.at = at
    this.rest += this.decoder.write(bytes)
    for (let end = this.rest.indexOf('\n'); end >= 0; end = this.rest.indexOf('\n')) {
      yield* this.pieces(this.rest.slice(0, end).replace(/\r$/, ''))
      this.rest = this.rest.slice(end + 1)
      this.at = at
    }
    while (this.rest.length > longestLine) {
      const piece = cutAt(this.rest)
      yield this.line(piece)
      this.rest = this.rest.slice(piece.length)
    }
  }

  *flush(): Generator<PrintedLine> {
    this.rest += this.decoder.end()
    if (this.rest !== '') yield* this.pieces(this.rest)
    this.rest = ''
  }

  private *pieces(text: string): Generator<PrintedLine> {
    let rest = text
    while (rest.length > longestLine) {
      const piece = cutAt(rest)
      yield this.line(piece)
      rest = rest.slice(piece.length)
    }
    yield this.line(rest)
  }

  private line(text: string): PrintedLine {
    return { stream: this.stream, text, at: this.at }
  }
}

/** The longest beginning that may stand as a line of its own, not ending between the halves of a surrogate pair. */
function cutAt(text: string): string {
  const splitsPair = /[\ud800-\udbff]/.test(text[longestLine - 1] ?? '')
  return text.slice(0, splitsPair ? longestLine - 1 : longestLine)
}

/** RFC 3339 with nanoseconds, and a space. */
function splitTimestamp(bytes: Buffer): {
  at: string | undefined
  time: string | undefined
  payload: Buffer
} {
  const space = bytes.subarray(0, 64).indexOf(0x20)
  const text = space < 0 ? '' : bytes.toString('latin1', 0, space)
  const at = Date.parse(text)
  if (Number.isNaN(at)) return { at: undefined, time: undefined, payload: bytes }
  const [, fraction = ''] = /\.(\d{1,9})/.exec(text) ?? []
  const time = `${Math.floor(at / 1_000)}.${fraction.padEnd(9, '0')}`
  return { at: new Date(at).toISOString(), time, payload: bytes.subarray(space + 1) }
}

import { StringDecoder } from 'node:string_decoder'
import type { LogFrame } from './log-frames.ts'

export interface PrintedLine {
  readonly stream: 'stdout' | 'stderr'
  readonly text: string
  /** ISO 8601, where the engine was asked for timestamps. */
  readonly at: string | undefined
}

/** A longer line is cut into pieces of this many characters: output without line ends cannot fill the memory. */
const longestLine = 64 * 1024

/**
 * Cuts frames into lines, each stream for itself and never inside a character. With timestamps the engine puts one
 * before each frame: before each line, and before each part of a line that is too long for its log.
 */
export async function* printedLines(
  frames: AsyncIterable<LogFrame>,
  options: { readonly timestamps: boolean },
): AsyncGenerator<PrintedLine> {
  const cutters = { stdout: new LineCutter('stdout'), stderr: new LineCutter('stderr') }
  for await (const { stream, bytes } of frames) {
    const { at, payload } = options.timestamps ? splitTimestamp(bytes) : { at: undefined, payload: bytes }
    yield* cutters[stream].cut(payload, at)
  }
  yield* cutters.stdout.flush()
  yield* cutters.stderr.flush()
}

class LineCutter {
  private readonly stream: PrintedLine['stream']
  private readonly decoder = new StringDecoder('utf8')
  private rest = ''
  private at: string | undefined

  constructor(stream: PrintedLine['stream']) {
    this.stream = stream
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
function splitTimestamp(bytes: Buffer): { at: string | undefined; payload: Buffer } {
  const space = bytes.subarray(0, 64).indexOf(0x20)
  const at = space < 0 ? Number.NaN : Date.parse(bytes.toString('latin1', 0, space))
  if (Number.isNaN(at)) return { at: undefined, payload: bytes }
  return { at: new Date(at).toISOString(), payload: bytes.subarray(space + 1) }
}

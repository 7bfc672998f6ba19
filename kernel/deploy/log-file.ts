import { type FileHandle, open } from 'node:fs/promises'
import type { LogLine } from '@rivetr/sdk'

const blockBytes = 64 * 1024
const newline = 0x0a
/** Runtimes and builders of ours cut lines at 64 KiB; one of a stranger's that does not must not fill the memory. */
const longestText = 256 * 1024
/** What is longer is no line that was written here, but a damaged file. */
const longestLineBytes = 4 * 1024 * 1024
/** Lines at the end of a file that may be none: a crash leaves half of one, once for each start. */
export const cutLines = 16

/**
 * A log on disk: one line of JSON per line of log, their numbers growing. Lines are found by where they stand, so that nobody
 * reads a long log from its beginning to come to its end. Positions are those of beginnings of lines.
 */
export class LogFile implements AsyncDisposable {
  readonly #file: FileHandle

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** Undefined when there is none. */
  static async find(path: string): Promise<LogFile | undefined> {
    try {
      return new LogFile(await open(path))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  async size(): Promise<number> {
    return (await this.#file.stat()).size
  }

  /** The lines that end before a position, each with the position after it; what a crash cut off is left out. */
  async *lines(from: number, until: number): AsyncGenerator<{ line: LogLine; end: number }> {
    let rest: Buffer = Buffer.alloc(0)
    let restAt = from
    for (let at = from; at < until; ) {
      const block = await this.#read(at, until)
      if (block.length === 0) return
      at += block.length
      rest = rest.length === 0 ? block : Buffer.concat([rest, block])
      let begin = 0
      for (let end = rest.indexOf(newline); end >= 0; end = rest.indexOf(newline, begin)) {
        const line = parse(rest.toString('utf8', begin, end))
        begin = end + 1
        if (line !== undefined) yield { line, end: restAt + begin }
      }
      if (rest.length - begin > longestLineBytes) begin = rest.length // its end, when it comes, is none either
      rest = rest.subarray(begin)
      restAt += begin
    }
  }

  /** A position near the first line with a greater number, and not after it. */
  async positionAfter(seq: number, until: number): Promise<number> {
    let low = 0
    let high = seq === 0 ? 0 : until
    while (high - low > blockBytes) {
      const middle = Math.floor((low + high) / 2)
      const probe = await this.#lineBehind(middle, high)
      if (probe !== undefined && probe.line.seq <= seq) low = probe.end
      else high = middle
    }
    return low
  }

  /** Where the last so many lines begin. */
  async positionOfLast(count: number, until: number): Promise<number> {
    let found = 0
    let following: number | undefined
    for (let high = until; high > 0; ) {
      const low = Math.max(0, high - blockBytes)
      const block = await this.#read(low, high)
      for (let at = block.length - 1; at >= 0; at -= 1) {
        const byte = block[at]
        if (byte === newline && following !== undefined && following !== newline) found += 1
        if (found === count) return low + at + 1
        following = byte
      }
      high = low
    }
    return 0
  }

  /** That of the last line; 0 where there is none. */
  async lastNumber(): Promise<number> {
    const size = await this.size()
    let seq = 0
    for await (const { line } of this.lines(await this.positionOfLast(1 + cutLines, size), size))
      seq = line.seq
    return seq
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }

  /** The first whole line that begins behind a position. */
  async #lineBehind(position: number, until: number): Promise<{ line: LogLine; end: number } | undefined> {
    for (let at = position; at < until; at += blockBytes) {
      const found = (await this.#read(at, until)).indexOf(newline)
      if (found < 0) continue
      for await (const first of this.lines(at + found + 1, until)) return first
      return undefined
    }
    return undefined
  }

  async #read(from: number, until: number): Promise<Buffer> {
    const length = Math.min(blockBytes, until - from)
    const { buffer, bytesRead } = await this.#file.read(Buffer.allocUnsafe(length), 0, length, from)
    return buffer.subarray(0, bytesRead)
  }
}

/** What a log keeps of the text of a line. */
export function shortened(text: string): string {
  if (text.length <= longestText) return text
  return `${text.slice(0, longestText)} … ${text.length - longestText} more characters are left out`
}

/** Undefined for a line that a crash cut off. */
function parse(text: string): LogLine | undefined {
  try {
    return JSON.parse(text) as LogLine
  } catch {
    return undefined
  }
}

import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'

/** A longer line comes in pieces of this size. */
const longestLineBytes = 64 * 1024
/** How much is read at once: nothing else happens in Rivetr meanwhile. */
export const chunkBytes = 256 * 1024
/** What was read stays in the file until there is so much of it. */
const cutAtBytes = 1024 * 1024

export interface Output {
  readonly lines: readonly string[]
  /** Where to go on reading. */
  readonly offset: number
  /** Left out, because more had come than is kept. */
  readonly skippedBytes: number
}

/**
 * Takes what a replica has printed since `offset` out of the file to which it prints (descriptors opened for
 * appending). A line that has no end yet stays, unless the replica has ended. Read and cut without a pause in between,
 * so that as good as nothing can be printed at that moment.
 */
export function takeOutput(path: string, offset: number, ended: boolean, maxBytes: number): Output {
  const file = openSync(path, 'r+')
  try {
    const { size } = fstatSync(file)
    let from = offset > size ? 0 : offset // the app may empty its own output
    const skippedBytes = Math.max(0, size - from - maxBytes)
    from += skippedBytes
    const bytes = Buffer.alloc(Math.min(chunkBytes, size - from))
    const read = bytes.subarray(0, readSync(file, bytes, 0, bytes.length, from))
    const atEnd = from + read.length >= size
    const isCut = atEnd && size >= cutAtBytes && (ended || read.at(-1) === newline || size >= 2 * cutAtBytes)
    const { lines, usedBytes } = linesOf(read, isCut || (ended && atEnd))
    if (isCut) ftruncateSync(file, 0)
    return { lines, offset: isCut ? 0 : from + usedBytes, skippedBytes }
  } finally {
    closeSync(file)
  }
}

const newline = 0x0a

function linesOf(bytes: Buffer, withRest: boolean): { lines: string[]; usedBytes: number } {
  const lines: string[] = []
  let start = 0
  while (start < bytes.length) {
    const end = bytes.indexOf(newline, start)
    if (end >= 0 && end - start <= longestLineBytes) {
      lines.push(text(bytes.subarray(start, end)).replace(/\r$/, ''))
      start = end + 1
    } else if (bytes.length - start > longestLineBytes) {
      const piece = wholeCharacters(bytes.subarray(start, start + longestLineBytes))
      lines.push(text(piece))
      start += piece.length
    } else {
      if (!withRest) break
      lines.push(text(bytes.subarray(start)))
      start = bytes.length
    }
  }
  return { lines, usedBytes: start }
}

function text(bytes: Buffer): string {
  return bytes.toString('utf8')
}

/** Without the beginning of a character at its end. */
function wholeCharacters(bytes: Buffer): Buffer {
  const whole = Buffer.byteLength(new StringDecoder('utf8').write(bytes))
  return whole > 0 && whole < bytes.length && bytes.length - whole < 4 ? bytes.subarray(0, whole) : bytes
}

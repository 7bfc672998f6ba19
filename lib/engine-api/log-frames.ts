import { RivetrError } from '@rivetr/sdk'

/** With a terminal the engine sends the bytes as they are; without, each write in a frame that names its stream. */
export type Framing = 'frames' | 'raw'

export interface LogFrame {
  readonly stream: 'stdout' | 'stderr'
  readonly bytes: Buffer
}

const headerBytes = 8
/** The engine's are 32 KiB at most; more than this is no frame. */
const longestFrame = 16 * 1024 * 1024
const newline = 0x0a

/**
 * Takes a log or exec stream apart. A frame is a header of 8 bytes (1 stdout, 2 stderr; three zeros; the length,
 * big-endian) and its payload; the stream may be cut anywhere, also inside a header.
 */
export async function* logFrames(
  source: AsyncIterable<Uint8Array>,
  framing: Framing,
): AsyncGenerator<LogFrame> {
  if (framing === 'raw') yield* rawLines(source)
  else yield* framed(source)
}

/** Each line by itself: where there are timestamps, one stands before each. */
async function* rawLines(source: AsyncIterable<Uint8Array>): AsyncGenerator<LogFrame> {
  let rest = Buffer.alloc(0)
  for await (const chunk of source) {
    let start = 0
    const bytes = Buffer.concat([rest, chunk])
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
      yield { stream: 'stdout', bytes: bytes.subarray(start, end + 1) }
      start = end + 1
    }
    rest = bytes.subarray(start)
    if (rest.length < longestFrame) continue
    yield { stream: 'stdout', bytes: rest }
    rest = Buffer.alloc(0)
  }
  if (rest.length > 0) yield { stream: 'stdout', bytes: rest }
}

async function* framed(source: AsyncIterable<Uint8Array>): AsyncGenerator<LogFrame> {
  let parts: Buffer[] = []
  let held = 0
  let wanted = headerBytes
  for await (const chunk of source) {
    parts.push(Buffer.from(chunk))
    held += chunk.length
    if (held < wanted) continue
    let bytes = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
    for (;;) {
      if (bytes.length < headerBytes) {
        wanted = headerBytes
        break
      }
      const frameBytes = headerBytes + lengthOf(bytes)
      if (bytes.length < frameBytes) {
        wanted = frameBytes
        break
      }
      yield { stream: bytes[0] === 2 ? 'stderr' : 'stdout', bytes: bytes.subarray(headerBytes, frameBytes) }
      bytes = bytes.subarray(frameBytes)
    }
    parts = [bytes]
    held = bytes.length
  }
}

function lengthOf(header: Buffer): number {
  const length = header.readUInt32BE(4)
  if ((header[0] ?? 3) > 2 || length > longestFrame)
    throw new RivetrError('internal', 'the engine sent a log stream without the frames that it announced')
  return length
}

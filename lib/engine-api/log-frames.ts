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

/**
 * Takes a log or exec stream apart. A frame is a header of 8 bytes (1 stdout, 2 stderr; three zeros; the length,
 * big-endian) and its payload; the stream may be cut anywhere, also inside a header.
 */
export async function* logFrames(
  source: AsyncIterable<Uint8Array>,
  framing: Framing,
): AsyncGenerator<LogFrame> {
  if (framing === 'raw') {
    for await (const bytes of source) yield { stream: 'stdout', bytes: Buffer.from(bytes) }
    return
  }
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

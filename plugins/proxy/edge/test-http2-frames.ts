import { eventually } from '@rivetr/testing/suites/eventually'
import type { SecureClient, TestEdge } from './test-edge.ts'

/** For tests: frames of HTTP/2 byte by byte, as no client would send them (RFC 9113 §4.1, §6). */
export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

const types = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  more: 9,
}
export const endStream = 1
export const endHeaders = 4

export function frame(
  type: keyof typeof types | number,
  stream: number,
  payload: string | Buffer = '',
  flags = 0,
): Buffer {
  const body = Buffer.from(payload as string, 'latin1')
  const head = Buffer.alloc(9)
  head.writeUIntBE(body.length, 0, 3)
  head.writeUInt8(typeof type === 'number' ? type : types[type], 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, body])
}

/** Name, value, name, value: as literals that nobody keeps (RFC 7541 §6.2.2). */
export function block(fields: readonly string[]): Buffer {
  return Buffer.concat(
    fields.map((text, i) => Buffer.concat([i % 2 === 0 ? Buffer.of(0) : Buffer.of(), literal(text)])),
  )
}

export function headers(stream: number, fields: readonly string[], flags = endStream | endHeaders): Buffer {
  return frame('headers', stream, block(fields), flags)
}

export function number(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export function setting(id: number, value: number): Buffer {
  return Buffer.concat([Buffer.of(0, id), number(value)])
}

/** RFC 7541 §5.1, §5.2, without Huffman's code. */
function literal(text: string): Buffer {
  const bytes = [Math.min(text.length, 127)]
  if (text.length >= 127) {
    let rest = text.length - 127
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
    bytes.push(rest)
  }
  return Buffer.concat([Buffer.from(bytes), Buffer.from(text, 'latin1')])
}

/** A connection on which the test sends frames. */
export class FrameClient {
  readonly #client: SecureClient

  private constructor(client: SecureClient) {
    this.#client = client
  }

  /** With the preface. */
  static async open(edge: TestEdge): Promise<FrameClient> {
    const client = new FrameClient(await edge.secureClient({ ALPNProtocols: ['h2'] }))
    client.send(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame('settings', 0))
    return client
  }

  get closed(): boolean {
    return this.#client.closed
  }

  get socket() {
    return this.#client.socket
  }

  send(...frames: readonly Buffer[]): void {
    if (!this.closed) this.socket.write(Buffer.concat(frames))
  }

  /** All that have come whole. */
  get frames(): Frame[] {
    const bytes = Buffer.from(this.#client.text, 'latin1')
    const frames: Frame[] = []
    for (let at = 0; at + 9 <= bytes.length; ) {
      const end = at + 9 + bytes.readUIntBE(at, 3)
      if (end > bytes.length) break
      const stream = bytes.readUInt32BE(at + 5)
      frames.push({
        type: bytes[at + 3] ?? 0,
        flags: bytes[at + 4] ?? 0,
        stream,
        payload: bytes.subarray(at + 9, end),
      })
      at = end
    }
    return frames
  }

  find(type: keyof typeof types, stream: number): Frame | undefined {
    return this.frames.find((each) => each.type === types[type] && each.stream === stream)
  }

  /** The status of the answer on a stream, the code with which it was reset, or that the connection ended. */
  outcome(stream: number): Promise<string> {
    return eventually(
      `an outcome of stream ${stream}`,
      () => {
        const answer = this.find('headers', stream)
        const reset = this.find('reset', stream)
        if (answer !== undefined) return String(statusOf(answer.payload))
        if (reset !== undefined) return `reset ${reset.payload.readUInt32BE(0)}`
        return this.closed ? 'closed' : undefined
      },
      30_000,
    )
  }

  ended(): Promise<unknown> {
    return eventually('the end of the connection', () => this.closed || undefined, 30_000)
  }

  reset(): void {
    this.#client.reset()
  }

  close(): void {
    this.socket.destroy()
  }
}

const inStaticTable = [200, 204, 206, 304, 400, 404, 500]

/** The status comes first. Where it is not in the static table it is a literal, mostly in Huffman's code (RFC 7541 §B). */
function statusOf(fields: Buffer): number {
  let at = 0
  while (((fields[at] ?? 0) & 0xe0) === 0x20) at += 1 // the size of the dynamic table
  const first = fields[at] ?? 0
  if (first >= 0x88 && first <= 0x8e) return inStaticTable[first - 0x88] ?? 0
  const length = fields[at + 1] ?? 0
  const value = fields.subarray(at + 2, at + 2 + (length & 0x7f))
  if (length < 0x80) return Number(value.toString())
  const bits = [...value].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  let digits = ''
  for (let bit = 0; digits.length < 3; ) {
    const five = Number.parseInt(bits.slice(bit, bit + 5), 2)
    if (five <= 2) digits += five
    else digits += Number.parseInt(bits.slice(bit, bit + 6), 2) - 0b011001 + 3
    bit += five <= 2 ? 5 : 6
  }
  return Number(digits)
}

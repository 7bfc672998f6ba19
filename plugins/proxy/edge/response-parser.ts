import wasm from 'undici/lib/llhttp/llhttp_simd-wasm.js'
import type { Fields } from './fields.ts'

/** What is found in an answer, in this order, while `parse` runs. */
export interface AnswerEvents {
  /** The first byte of an answer, interim ones included. False refuses it. */
  onBegin(): boolean
  /** Says what follows, whatever the fields say. */
  onHead(
    status: number,
    reason: string,
    fields: Fields,
    keepAlive: boolean,
  ): 'its body' | 'no body' | 'refused'
  /** The bytes from `start` to `end` are valid during the call only. */
  onBody(bytes: Buffer, start: number, end: number): void
  /** With the fields that came after the body. */
  onEnd(trailers: Fields): void
}

/** No more is read from a socket at once. */
export const readBytes = 64 * 1024
const headLimitBytes = 64 * 1024
/** What a field takes besides its letters, so that empty ones count too. */
const fieldBytes = 16

interface Llhttp {
  readonly memory: WebAssembly.Memory
  malloc(bytes: number): number
  llhttp_alloc(kind: number): number
  llhttp_free(parser: number): void
  llhttp_execute(parser: number, at: number, bytes: number): number
  llhttp_finish(parser: number): number
}

const kindResponse = 2
const ok = 0
const refuse = -1
const skipBody = 1

/** The one that runs: the parser calls back without a word on whose bytes it found something in. */
let running: ResponseParser | undefined
let text: string | undefined
let bytes: Buffer = Buffer.alloc(0)

const llhttp = load()
/** Where the parser reads. */
const inputAt = llhttp.malloc(readBytes)
let input = new Uint8Array(llhttp.memory.buffer, inputAt, readBytes)

/**
 * Parses the answers that come on one connection, with llhttp: Node's own parser, which Node does not lend, as undici
 * compiles it. undici's client around it takes a fifth of an edge's time.
 */
export class ResponseParser {
  #at: number
  #reason = ''
  /** Name, value, name, value; the last may still go on. */
  #fields: Fields = []
  #headBytes = 0
  readonly #events: AnswerEvents

  constructor(events: AnswerEvents) {
    this.#events = events
    this.#at = llhttp.llhttp_alloc(kindResponse)
  }

  /** At most `readBytes`. False when they are no HTTP; then nothing more can be parsed. */
  parse(chunk: Buffer): boolean {
    if (input.byteLength === 0) input = new Uint8Array(llhttp.memory.buffer, inputAt, readBytes) // its memory grew
    input.set(chunk)
    bytes = chunk
    text = undefined
    if (this.#at === 0) return false
    running = this
    try {
      return llhttp.llhttp_execute(this.#at, inputAt, chunk.length) === ok
    } finally {
      running = undefined
    }
  }

  /** The connection has ended: false when that cuts an answer, or anything but an answer came. */
  finish(): boolean {
    if (this.#at === 0) return false
    running = this
    try {
      return llhttp.llhttp_finish(this.#at) === ok
    } finally {
      running = undefined
    }
  }

  /** Not while it parses. */
  close(): void {
    if (this.#at !== 0) llhttp.llhttp_free(this.#at)
    this.#at = 0
  }

  begin(): number {
    this.#reason = ''
    return this.#events.onBegin() ? ok : refuse
  }

  reason(at: number, length: number): number {
    this.#reason += slice(at, length)
    return this.#count(length)
  }

  name(at: number, length: number): number {
    const fields = this.#fields
    if (fields.length % 2 === 1) fields[fields.length - 1] += slice(at, length)
    else {
      fields.push(slice(at, length))
      this.#headBytes += fieldBytes
    }
    return this.#count(length)
  }

  value(at: number, length: number): number {
    const fields = this.#fields
    if (fields.length % 2 === 1) fields.push(slice(at, length))
    else fields[fields.length - 1] += slice(at, length)
    return this.#count(length)
  }

  head(status: number, keepAlive: boolean): number {
    const fields = this.#fields
    this.#fields = []
    this.#headBytes = 0
    const follows = this.#events.onHead(status, this.#reason, fields, keepAlive)
    return follows === 'its body' ? ok : follows === 'no body' ? skipBody : refuse
  }

  body(at: number, length: number): number {
    const start = at - inputAt
    this.#events.onBody(bytes, start, start + length)
    return ok
  }

  end(): number {
    const trailers = this.#fields
    this.#fields = []
    this.#headBytes = 0
    this.#events.onEnd(trailers)
    return ok
  }

  #count(length: number): number {
    this.#headBytes += length
    return this.#headBytes > headLimitBytes ? refuse : ok
  }
}

/** Field values are bytes; latin1 keeps each as it is. */
function slice(at: number, length: number): string {
  text ??= bytes.toString('latin1')
  return text.slice(at - inputAt, at - inputAt + length)
}

function load(): Llhttp {
  const env = {
    wasm_on_url: () => ok,
    wasm_on_message_begin: () => running?.begin() ?? refuse,
    wasm_on_status: (_: number, at: number, length: number) => running?.reason(at, length) ?? refuse,
    wasm_on_header_field: (_: number, at: number, length: number) => running?.name(at, length) ?? refuse,
    wasm_on_header_value: (_: number, at: number, length: number) => running?.value(at, length) ?? refuse,
    wasm_on_headers_complete: (_: number, status: number, __: number, keepAlive: number) =>
      running?.head(status, keepAlive === 1) ?? refuse,
    wasm_on_body: (_: number, at: number, length: number) => running?.body(at, length) ?? refuse,
    wasm_on_message_complete: () => running?.end() ?? refuse,
  }
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm), { env })
  return exports as Llhttp
}

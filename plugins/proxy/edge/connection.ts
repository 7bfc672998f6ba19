import type { IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Fields } from './fields.ts'
import { bodyMethods } from './request-head.ts'
import { type AnswerEvents, ResponseParser, readBytes } from './response-parser.ts'

/** A request on its way to the endpoint, and what hears of its answer. */
export interface Carried {
  readonly method: string
  /** Request line and fields, with the empty line at their end. */
  readonly head: string
  readonly body: IncomingMessage | undefined
  /** The body is sent in chunks; else the head tells its length. */
  readonly chunked: boolean
  /** What follows the last chunk, up to the empty line. */
  trailerSection(): string
  readonly firstByteTimeoutMs: number
  /** More of a body is refused. */
  readonly maxBodyBytes: number
  /** Nobody waits for the answer any more. */
  readonly gone: boolean
  onCarried(connection: Connection): void
  /** So many bytes of the body were taken. */
  onTaken(bytes: number): void
  /** An answer before the answer (RFC 9110 §15.2): the endpoint wants the body, has hints, or is still at it. */
  onInterim(status: number, reason: string, fields: Fields): void
  onHead(status: number, reason: string, fields: Fields): void
  /** The bytes from `start` to `end` are valid during the call only. */
  onBody(bytes: Buffer, start: number, end: number): void
  /** All that has come was told, and more is to come. */
  onRead(): void
  onEnd(trailers: Fields): void
  onLost(loss: Loss): void
}

/**
 * `unreachable`: not connected. `unanswered`: not connected in time. `unheard`: a kept connection broke before any byte of the answer, and perhaps the
 * request never arrived. `late`: no first byte in time. `large`: the body was longer than it may be. `broken`:
 * everything else.
 */
export type Loss = 'unreachable' | 'unanswered' | 'unheard' | 'late' | 'large' | 'broken'

export interface ConnectionSettings {
  readonly connectTimeoutMs: number
  readonly firstByteTimeoutMs: number
  readonly streamIdleTimeoutMs: number
}

export interface ConnectionOwner {
  /** It can carry the next request. */
  released(connection: Connection): void
  /** It can carry nothing any more. */
  ended(connection: Connection): void
}

/** An app that says more often than this that it is still at it does nothing else. */
const interimsLimit = 100
/** Below the 5 s after which Node and many others close an idle connection. */
const idleTimeoutMs = 4_000
/** How long before the endpoint's own limit, where it tells it, a connection is given up. */
const idleMarginMs = 1_000

/** Every read of every connection goes here: what comes is parsed or copied before the next one. */
const readBuffer = Buffer.allocUnsafeSlow(readBytes)

/** One connection to an endpoint: carries one request after the other. */
export class Connection implements AnswerEvents {
  /** When it has waited too long for what it waits for. */
  deadlineMs: number
  #connected = false
  #ended = false
  #carried: Carried | undefined
  #served = 0
  #sent = false
  /** A byte of the answer has come. */
  #heard = false
  /** Its head has come. */
  #begun = false
  #interim = false
  #interims = 0
  /** How long it may stay idle after this answer; 0: it ends with it. */
  #keepMs = 0
  #stopBody: (() => void) | undefined
  readonly #socket: Socket
  readonly #parser = new ResponseParser(this)
  readonly #settings: ConnectionSettings
  readonly #owner: ConnectionOwner

  constructor(address: string, port: number, settings: ConnectionSettings, owner: ConnectionOwner) {
    this.#settings = settings
    this.#owner = owner
    this.deadlineMs = performance.now() + settings.connectTimeoutMs
    const onread = { buffer: readBuffer, callback: (count: number) => this.#read(count) }
    this.#socket = connect({ host: address, port, noDelay: true, keepAlive: true, onread })
    this.#socket.on('connect', () => {
      this.#connected = true
      this.#await()
    })
    this.#socket.on('end', () => this.#finish())
    this.#socket.on('error', () => this.#lose())
    this.#socket.on('close', () => {
      this.#lose()
      this.#parser.close()
    })
  }

  carry(carried: Carried): void {
    this.#carried = carried
    this.#served += 1
    this.#sent = carried.body === undefined
    this.#heard = false
    this.#begun = false
    this.#interims = 0
    carried.onCarried(this)
    this.#socket.write(carried.head, 'latin1')
    if (carried.body !== undefined) this.#stopBody = this.#sendBody(carried.body, carried)
    if (this.#connected) this.#await()
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
    this.deadlineMs = performance.now() + this.#settings.streamIdleTimeoutMs
  }

  /** Nobody wants the answer any more. */
  abandon(): void {
    this.#carried = undefined
    this.#lose()
  }

  /** The deadline has passed. */
  expire(): void {
    if (!this.#connected) this.#lose('unanswered')
    else this.#lose(this.#sent && !this.#begun ? 'late' : undefined)
  }

  onBegin(): boolean {
    this.#heard = true
    return this.#carried !== undefined
  }

  onHead(status: number, reason: string, fields: Fields, keepAlive: boolean) {
    const carried = this.#carried
    this.#interim = status < 200
    if (carried === undefined || hasOtherCoding(fields)) return 'refused'
    if (this.#interim) return this.#passInterim(status, reason, fields, carried)
    this.#begun = true
    this.deadlineMs = performance.now() + this.#settings.streamIdleTimeoutMs
    this.#keepMs = keepAlive && isClean(carried, status, fields) ? keepMs(fields) : 0
    carried.onHead(status, reason, fields)
    return carried.method === 'HEAD' ? 'no body' : 'its body'
  }

  onBody(bytes: Buffer, start: number, end: number): void {
    this.#carried?.onBody(bytes, start, end)
  }

  onEnd(trailers: Fields): void {
    if (this.#interim) return
    this.#stopBody?.()
    this.#carried?.onEnd(trailers)
    this.#carried = undefined
    if (this.#keepMs === 0 || !this.#sent) this.#lose()
    if (this.#ended) return
    this.#socket.resume() // the client was slow
    this.deadlineMs = performance.now() + this.#keepMs
    this.#owner.released(this)
  }

  /** Nobody asked for another protocol, and 0xx is no status. */
  #passInterim(status: number, reason: string, fields: Fields, carried: Carried): 'no body' | 'refused' {
    this.#interims += 1
    if (status < 100 || status === 101 || this.#interims > interimsLimit) return 'refused'
    carried.onInterim(status, reason, fields)
    return 'no body'
  }

  #read(count: number): boolean {
    let valid = false
    try {
      valid = this.#parser.parse(readBuffer.subarray(0, count))
      if (valid && this.#carried !== undefined) {
        if (this.#begun) this.deadlineMs = performance.now() + this.#settings.streamIdleTimeoutMs
        this.#carried.onRead()
      }
    } catch {
      valid = false // something that node:http does not pass on
    }
    if (!valid) this.#lose()
    return true
  }

  #finish(): void {
    this.#parser.finish() // an answer that the end of the connection ends
    this.#lose()
  }

  #lose(loss?: Loss): void {
    const carried = this.#carried
    const unheard = this.#served > 1 && !this.#heard
    this.#carried = undefined
    this.#stopBody?.()
    if (!this.#ended) {
      this.#ended = true
      this.#socket.destroy()
      this.#owner.ended(this)
    }
    carried?.onLost(loss ?? (this.#connected ? (unheard ? 'unheard' : 'broken') : 'unreachable'))
  }

  /** The request was sent whole: a long upload takes nothing of the answer's time. */
  #await(): void {
    if (this.#begun) return
    const timeoutMs = (this.#sent && this.#carried?.firstByteTimeoutMs) || Number.POSITIVE_INFINITY
    this.deadlineMs = performance.now() + timeoutMs
  }

  /** Returns how to stop. The client's pace is bounded by the listener, the endpoint's by the client's then. */
  #sendBody(body: IncomingMessage, carried: Carried): () => void {
    const { chunked, maxBodyBytes } = carried
    const socket = this.#socket
    let takenBytes = 0
    const onData = (chunk: Buffer) => {
      takenBytes += chunk.length
      carried.onTaken(chunk.length)
      if (takenBytes > maxBodyBytes) return this.#lose('large')
      socket.cork()
      if (chunked) socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1')
      let room = socket.write(chunk)
      if (chunked) room = socket.write('\r\n', 'latin1')
      socket.uncork()
      if (!room) body.pause()
    }
    const onDrain = () => body.resume()
    const onEnd = () => {
      stop()
      if (chunked) socket.write(`0\r\n${carried.trailerSection()}\r\n`, 'latin1')
      this.#sent = true
      if (this.#connected) this.#await()
    }
    const stop = () => {
      this.#stopBody = undefined
      body.off('data', onData).off('end', onEnd)
      socket.off('drain', onDrain)
    }
    body.on('data', onData).on('end', onEnd)
    socket.on('drain', onDrain)
    return stop
  }
}

/**
 * Whether both ends surely agree on where request and answer end. Some do not read a body that they do not expect,
 * and some send one where there must be none: it would be taken for the next request, or the next answer.
 */
function isClean({ method, body }: Carried, status: number, fields: Fields): boolean {
  if (method === 'HEAD' || (body !== undefined && !bodyMethods.has(method))) return false
  return (status !== 204 && status !== 304) || !tellsOfBody(fields)
}

/**
 * What is coded in another way than in chunks could not be passed on: the field is for one connection (RFC 9112 §6.1).
 */
function hasOtherCoding(fields: Fields): boolean {
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] as string
    if (name.length === 17 && name.toLowerCase() === 'transfer-encoding')
      if ((fields[i + 1] as string).toLowerCase() !== 'chunked') return true
  }
  return false
}

function tellsOfBody(fields: Fields): boolean {
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = (fields[i] as string).toLowerCase()
    if (name === 'transfer-encoding' || (name === 'content-length' && fields[i + 1] !== '0')) return true
  }
  return false
}

/** By `Keep-Alive: timeout=5`, in seconds, which comes with most answers. */
function keepMs(fields: Fields): number {
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] as string
    if (name.length !== 10 || name.toLowerCase() !== 'keep-alive') continue
    const seconds = /timeout=(\d+)/i.exec(fields[i + 1] as string)?.[1]
    if (seconds !== undefined)
      return Math.max(0, Math.min(idleTimeoutMs, Number(seconds) * 1_000 - idleMarginMs))
  }
  return idleTimeoutMs
}

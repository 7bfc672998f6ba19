import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * What a client may send ahead. The connection of one that sends more is cut, not left unread: who is not read from may
 * leave unnoticed, and the app would work on for nobody.
 */
const aheadLimit = { requests: 500, bytes: 1024 * 1024 }

/**
 * Requests that a client sends without waiting for answers have effect in the order in which they came (RFC 9112
 * §9.3.2), and what follows one whose answer ends the connection has none (§9.6). Node tells of each as soon as it is
 * read.
 */
export class Turns {
  readonly #last = new WeakMap<Socket, ServerResponse>()
  /** For each that waits, how much had been read when it came. */
  readonly #waiting = new WeakMap<Socket, number[]>()

  /** Whether it is this request's turn. Else `begin` is called when it comes, which is never after the last answer. */
  takes<Res extends ServerResponse>(
    req: IncomingMessage,
    res: Res,
    begin: (req: IncomingMessage, res: Res) => void,
  ): boolean {
    const { socket } = req
    const before = this.#last.get(socket)
    this.#last.set(socket, res)
    if (before === undefined) return true
    if (before.writableFinished) return mayFollow(res, before, socket)
    const waiting = this.#waiting.get(socket) ?? []
    this.#waiting.set(socket, waiting)
    const aheadBytes = socket.bytesRead - (waiting[0] ?? socket.bytesRead)
    waiting.push(socket.bytesRead)
    if (waiting.length > aheadLimit.requests || aheadBytes > aheadLimit.bytes) socket.destroy()
    before.once('close', () => {
      waiting.shift()
      if (mayFollow(res, before, socket)) begin(req, res)
    })
    return false
  }

  /** Something that came on the connection has not been answered yet, or the connection is about to end. */
  areTaken(socket: Socket): boolean {
    const last = this.#last.get(socket)
    return last !== undefined && !(last.writableFinished && last.shouldKeepAlive && socket.writable)
  }
}

/** What may not follow is never answered, and nothing follows it. */
function mayFollow(res: ServerResponse, before: ServerResponse, socket: Socket): boolean {
  if (before.shouldKeepAlive && socket.writable) return true
  res.shouldKeepAlive = false
  return false
}

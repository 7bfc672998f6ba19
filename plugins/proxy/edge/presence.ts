import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** After the client closed its side: the second and third probe, or the judgement of an idle answer. */
const probeAgainMs = [300, 700]
const idleLimitMs = 1_000

/**
 * Tells a client that went away from one that only said it will send no more. Both send the same FIN, and the second
 * must get its answer (RFC 9112 §9.6).
 *
 * Before the answer has begun, interim answers find out, which every client ignores (RFC 9110 §15.2): whoever is gone
 * replies with a reset, which the write after it reports. Once it has begun nothing may be put between, but a client
 * that half-closes does so with its request; one that closes later and takes nothing for a second is gone.
 */
export class Presence {
  readonly #answering = new WeakMap<Socket, ServerResponse>()

  constructor(server: Server) {
    Object.assign(server, { httpAllowHalfOpen: true }) // in no type, but in Node's source since 0.x
    server.on('connection', (socket: Socket) => {
      socket.once('end', () => this.#finCame(socket))
    })
  }

  /** The answer that the connection now waits for. */
  watch(socket: Socket, res: ServerResponse): void {
    this.#answering.set(socket, res)
  }

  #finCame(socket: Socket): void {
    const res = this.#answering.get(socket)
    if (res === undefined || res.writableFinished || socket.destroyed) return
    if (!res.headersSent) probe(res)
    else destroyIfIdle(socket)
  }
}

function probe(res: ServerResponse): void {
  if (res.req.httpVersionMinor === 0) return // HTTP/1.0 has no interim answers
  const send = () => {
    if (!res.headersSent && !res.destroyed) res.writeContinue()
  }
  send()
  for (const afterMs of probeAgainMs) setTimeout(send, afterMs).unref()
}

function destroyIfIdle(socket: Socket): void {
  const { bytesWritten } = socket
  setTimeout(() => {
    if (!socket.destroyed && socket.bytesWritten === bytesWritten) socket.destroy()
  }, idleLimitMs).unref()
}

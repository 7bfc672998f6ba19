import type { Server, Socket } from 'node:net'
import { plainAddress, type TrustedProxies } from './forwarding.ts'
import { parseProxyHeader } from './proxy-header.ts'

/** A proxy sends the header in one piece, at once. */
const headerTimeoutMs = 5_000

/** Whom a connection is from, where a header told. */
const clients = new WeakMap<Socket, string>()

/** The address at the other end of a connection; with the PROXY protocol that of the proxy's client. */
export function peerOf(socket: Socket & { readonly _parent?: Socket }): string {
  // What TLS was put around is its `_parent`, in no type but in Node since 0.12.
  const client = clients.get(socket) ?? (socket._parent && clients.get(socket._parent))
  return client ?? plainAddress(socket.remoteAddress ?? '')
}

/**
 * From now on every connection of the server has to begin with a PROXY header of a trusted proxy; any other is closed.
 * Call it when all other listeners for connections are there: they get a connection once its header was taken off.
 */
export function expectProxyHeader(server: Server, trusted: TrustedProxies): void {
  const listeners = server.listeners('connection') as ((socket: Socket) => void)[]
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket & { readonly encrypted?: boolean }) => {
    const proceed = () => {
      for (const listener of listeners) listener.call(server, socket)
    }
    if (socket.encrypted === true) return proceed() // its header came before the handshake
    if (!trusted.trusts(plainAddress(socket.remoteAddress ?? ''))) return void socket.destroy()
    takeHeader(socket, proceed)
  })
}

function takeHeader(socket: Socket, proceed: () => void): void {
  let taken = Buffer.alloc(0)
  const refuse = () => void socket.destroy()
  const timer = setTimeout(refuse, headerTimeoutMs)
  const stop = () => {
    clearTimeout(timer)
    socket.off('readable', onReadable).off('end', refuse).off('error', refuse).off('close', stop)
  }
  const onReadable = () => {
    const chunk: Buffer | null = socket.read()
    if (chunk === null) return
    taken = Buffer.concat([taken, chunk])
    const header = parseProxyHeader(taken)
    if (header === 'more') return
    stop()
    if (header === undefined) return refuse()
    if (header.client !== undefined) clients.set(socket, header.client)
    const rest = taken.subarray(header.bytes)
    if (rest.length > 0) socket.unshift(rest)
    proceed()
  }
  socket.on('readable', onReadable).on('end', refuse).on('error', refuse).on('close', stop)
}

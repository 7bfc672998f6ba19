import { createServer, type Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, RivetrError } from '@rivetr/sdk'

/** Where a socket really listens: the port that the system chose for 0, 0.0.0.0 where there is no IPv6. */
export interface Bound {
  readonly address: string
  readonly port: number
}

/**
 * How a listening socket comes to outlive everyone who accepts on it, and no other process is sent a handle:
 *
 * 1. The control half listens as any server does. That is exclusive (no SO_REUSEPORT), so a taken port is found here,
 *    with the kernel's privileges, before any process was started.
 * 2. Within the same turn of the event loop, so that it can accept nothing itself, it starts the launcher with the
 *    socket as file descriptor 3 and closes its own copy. Closing a copy does not touch the socket.
 * 3. The launcher only holds the number 3. It starts each edge with the same descriptor, and an edge does
 *    `listen({ fd: 3 })`. Edges come and go, connections queue in the system meanwhile.
 *
 * One step is not in Node's documentation: the number of a server's descriptor (`descriptorOf`).
 */
export async function listenAndPass(
  address: string,
  port: number,
  signal: AbortSignal,
  pass: (fd: number, bound: Bound) => void,
): Promise<void> {
  const giveUpAtMs = performance.now() + inUseLimitMs
  let host = address
  for (;;) {
    try {
      return await listenOnce(host, port, pass)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (host === '::' && (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL')) host = '0.0.0.0'
      else if (code === 'EADDRINUSE' && performance.now() < giveUpAtMs)
        await sleep(inUsePauseMs, undefined, { signal })
      else throw cannotListen(address, port, error)
    }
  }
}

/** Edges of a launcher that was killed need a moment to close their copies. */
const inUseLimitMs = 3_000
const inUsePauseMs = 100

function listenOnce(address: string, port: number, pass: (fd: number, bound: Bound) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen({ host: address, port, exclusive: true }, () => {
      const bound = server.address()
      try {
        if (bound === null || typeof bound === 'string') throw new Error('the socket has no port')
        pass(descriptorOf(server), { address: bound.address, port: bound.port })
      } catch (error) {
        reject(error)
      }
      server.close(() => resolve())
    })
  })
}

/** `server.listen` documents `_handle` for what it takes; its `fd` is what any platform but Windows has. */
function descriptorOf(server: Server): number {
  const { _handle } = server as Server & { readonly _handle?: { readonly fd?: number } }
  if (_handle?.fd === undefined || _handle.fd < 0)
    throw new Error('this Node does not tell the descriptor of a server')
  return _handle.fd
}

function cannotListen(address: string, port: number, cause: unknown): RivetrError {
  const { code } = cause as NodeJS.ErrnoException
  const details = { address, port }
  if (code === 'EADDRINUSE') {
    const message = `port ${port} is in use by another program: stop it ("ss -ltnp" names it), or set http_port in the section [proxy] of rivetr.toml`
    return new RivetrError('address_in_use', message, { cause, details })
  }
  if (code === 'EACCES') {
    const message = `no permission to listen on port ${port}: start Rivetr as root, or set http_port in the section [proxy] to 1024 or above`
    return new RivetrError('unavailable', message, { cause, details })
  }
  const message = `cannot listen on ${address} port ${port}: ${messageOf(cause)}; check http_address and http_port in the section [proxy]`
  return new RivetrError('unavailable', message, { cause, details })
}

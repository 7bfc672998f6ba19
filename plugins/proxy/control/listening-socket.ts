import { createServer, type Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, RivetrError } from '@rivetr/sdk'
import { portHolder } from '@rivetr/sdk/kit'

/** A port to listen on, and the key of the section [proxy] that says so. */
export interface Port {
  readonly number: number
  readonly setting: string
}

/** A listening socket. Its port is the one that the system chose for 0, its address 0.0.0.0 where there is no IPv6. */
export interface ListeningSocket {
  readonly fd: number
  readonly address: string
  readonly port: number
}

/** One for each port, in the same order. */
type Pass = (sockets: [ListeningSocket, ...ListeningSocket[]]) => void

/**
 * How listening sockets come to outlive everyone who accepts on them, and no other process is sent a handle:
 *
 * 1. The control half listens as any server does. That is exclusive (no SO_REUSEPORT), so a taken port is found here,
 *    with the kernel's privileges, before any process was started.
 * 2. Within the same turn of the event loop, so that it can accept nothing itself, it starts the launcher with the
 *    sockets as file descriptors 3 and 4 and closes its own copies. Closing a copy does not touch the socket.
 * 3. The launcher only holds the numbers. It starts each edge with the same descriptors, and an edge does
 *    `listen({ fd: 3 })`. Edges come and go, connections queue in the system meanwhile.
 *
 * One step is not in Node's documentation: the number of a server's descriptor (`socketOf`).
 */
export async function listenAndPass(
  address: string,
  ports: readonly [Port, ...Port[]],
  signal: AbortSignal,
  pass: Pass,
): Promise<void> {
  const giveUpAtMs = performance.now() + inUseLimitMs
  let host = address
  for (;;) {
    try {
      return await listenOnce(host, ports, pass)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (host === '::' && (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL')) host = '0.0.0.0'
      else if (code === 'EADDRINUSE' && performance.now() < giveUpAtMs)
        await sleep(inUsePauseMs, undefined, { signal })
      else throw cannotListen(address, ports, error)
    }
  }
}

/** Edges of a launcher that was killed need a moment to close their copies. */
const inUseLimitMs = 3_000
const inUsePauseMs = 100

/** All or none. An address needs no resolver, so that all of them listen in the turn in which they were told to. */
function listenOnce(host: string, ports: readonly Port[], pass: Pass): Promise<void> {
  return new Promise((resolve, reject) => {
    const servers = ports.map(({ number }) => createServer().listen({ host, port: number, exclusive: true }))
    const closeAll = () => Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))))
    let listening = 0
    for (const server of servers) {
      server.once('error', (error) => void closeAll().then(() => reject(error)))
      server.once('listening', () => {
        listening += 1
        if (listening < servers.length) return
        try {
          pass(servers.map(socketOf) as [ListeningSocket, ...ListeningSocket[]])
        } catch (error) {
          reject(error)
        }
        void closeAll().then(() => resolve())
      })
    }
  })
}

/** `server.listen` documents `_handle` for what it takes; its `fd` is what any platform but Windows has. */
function socketOf(server: Server): ListeningSocket {
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('the socket has no port')
  const { _handle } = server as Server & { readonly _handle?: { readonly fd?: number } }
  if (_handle?.fd === undefined || _handle.fd < 0)
    throw new Error('this Node does not tell the descriptor of a server')
  return { fd: _handle.fd, address: bound.address, port: bound.port }
}

function cannotListen(address: string, ports: readonly Port[], cause: unknown): RivetrError {
  const { code, port } = cause as NodeJS.ErrnoException & { readonly port?: number }
  const setting = ports.find(({ number }) => number === port)?.setting ?? 'http_port'
  const details = { address, port, setting }
  if (code === 'EADDRINUSE') {
    const holder = port === undefined ? undefined : portHolder(port)
    const named = holder === undefined ? ' ("ss -ltnp" names it)' : `, ${holder.name} (process ${holder.pid})`
    const message = `port ${port} is in use by another program${named}: stop it, or set ${setting} in the section [proxy] of rivetr.toml`
    return new RivetrError('address_in_use', message, { cause, details })
  }
  if (code === 'EACCES') {
    const message = `no permission to listen on port ${port}: start Rivetr as root, or set ${setting} in the section [proxy] to 1024 or above`
    return new RivetrError('unavailable', message, { cause, details })
  }
  const message = `cannot listen on ${address} port ${port}: ${messageOf(cause)}; check http_address and ${setting} in the section [proxy]`
  return new RivetrError('unavailable', message, { cause, details })
}

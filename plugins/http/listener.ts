import { once } from 'node:events'
import { chmod, lstat, unlink } from 'node:fs/promises'
import { type AddressInfo, connect, type Server } from 'node:net'
import { RivetrError } from '@rivetr/sdk'
import { portHolder } from '@rivetr/sdk/kit'

/** `sun_path` of unix(7) holds 108 bytes, the last one is NUL. */
const longestPathBytes = 107

/** Listens on a unix socket that only its owner may use. A file that nobody answers on is a left-over and goes. */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  if (Buffer.byteLength(path) > longestPathBytes) {
    const long = `cannot listen on ${path}: a socket's path has at most ${longestPathBytes} bytes`
    throw new RivetrError('config_invalid', `${long}; choose a shorter data folder`)
  }
  await removeStale(path)
  await listen(server, () => server.listen({ path }), path)
  await chmod(path, 0o600)
}

/** Listens on TCP and says on which port. */
export async function listenOnPort(server: Server, address: string, port: number): Promise<number> {
  await listen(server, () => server.listen({ host: address, port, exclusive: true }), `${address}:${port}`)
  return (server.address() as AddressInfo).port
}

async function listen(server: Server, begin: () => void, where: string): Promise<void> {
  const listening = once(server, 'listening')
  begin()
  try {
    await listening
  } catch (error) {
    throw listenError(error as NodeJS.ErrnoException & { readonly port?: number }, where)
  }
}

function listenError(error: NodeJS.ErrnoException & { readonly port?: number }, where: string): RivetrError {
  const next = 'choose another by "port" in the section [http] of rivetr.toml'
  const failed = `cannot listen on ${where}`
  if (error.code === 'EADDRINUSE') {
    const holder = error.port === undefined ? undefined : portHolder(error.port)
    const named = holder === undefined ? '' : `, ${holder.name} (process ${holder.pid}),`
    const message = `${failed}: another program${named} does already; stop it, or ${next}`
    return new RivetrError('address_in_use', message, { cause: error })
  }
  if (error.code === 'EACCES') {
    return new RivetrError('config_invalid', `${failed}: this user may not; ${next}`, { cause: error })
  }
  return new RivetrError(
    'config_invalid',
    `${failed}: ${error.message}; check "address" and "port" of [http]`,
    { cause: error },
  )
}

async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket()) throw new RivetrError('data_unusable', `${path} is not a socket; move it away`)
  if (await answers(path)) {
    throw new RivetrError(
      'unavailable',
      `another Rivetr listens on ${path}; stop it, or choose another data folder`,
    )
  }
  await unlink(path)
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

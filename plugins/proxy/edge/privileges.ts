import { closeSync, openSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import Client from 'undici/lib/dispatcher/client.js'
import { unprivilegedId } from '../launcher/snapshot.ts'
import { createServer } from './node-http.ts'
import { loadUpgrades } from './upgrade.ts'

/** Gives root away for good. Code that could not be read any more must be loaded by then. */
export async function dropPrivileges(): Promise<void> {
  if (process.getuid?.() !== 0) return
  await loadLazyParts()
  if (!isReadableByAll('http-proxy-3')) await loadUpgrades()
  process.setgroups?.([])
  process.setgid?.(unprivilegedId)
  process.setuid?.(unprivilegedId)
}

/** undici compiles its parser, and node loads parts of its HTTP server, with the first request. */
async function loadLazyParts(): Promise<void> {
  const socketPath = './warm-up.sock'
  rmSync(socketPath, { force: true })
  const server = createServer((req, res) => req.pipe(res))
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  const client = new Client('http://localhost', { socketPath })
  await new Promise<void>((resolve, reject) => {
    client.dispatch(
      { path: '/', method: 'POST', body: 'warm' },
      {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData() {},
        onResponseEnd: () => resolve(),
        onResponseError: (_, error) => reject(error),
      },
    )
  })
  await client.close()
  await new Promise<unknown>((resolve) => server.close(resolve))
}

/** Tried as the user that the edge becomes. */
function isReadableByAll(packageName: string): boolean {
  process.seteuid?.(unprivilegedId)
  try {
    closeSync(openSync(fileURLToPath(import.meta.resolve(packageName)), 'r'))
    return true
  } catch {
    return false
  } finally {
    process.seteuid?.(0)
  }
}

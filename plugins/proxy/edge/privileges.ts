import { rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { Client } from 'undici'
import { unprivilegedId } from '../launcher/snapshot.ts'

/** Gives root away for good. Code that loads later could not be read any more, so all of it must be in use by then. */
export async function dropPrivileges(): Promise<void> {
  if (process.getuid?.() !== 0) return
  await loadLazyParts()
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
  const { body } = await client.request({ path: '/', method: 'POST', body: 'warm' })
  await body.text()
  await client.close()
  await new Promise<unknown>((resolve) => server.close(resolve))
}

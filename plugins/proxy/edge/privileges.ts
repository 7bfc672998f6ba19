import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { connect } from 'node:net'
import { unprivilegedId } from '../launcher/snapshot.ts'
import { createServer } from './node-http.ts'

/** Gives root away for good. Code that could not be read any more must be loaded by then. */
export async function dropPrivileges(): Promise<void> {
  if (process.getuid?.() !== 0) return
  await loadLazyParts()
  process.setgroups?.([])
  process.setgid?.(unprivilegedId)
  process.setuid?.(unprivilegedId)
}

/** node loads parts of its HTTP server with the first request. */
async function loadLazyParts(): Promise<void> {
  const socketPath = './warm-up.sock'
  rmSync(socketPath, { force: true })
  const server = createServer((req, res) => req.pipe(res))
  await once(server.listen(socketPath), 'listening')
  const client = connect(socketPath).resume()
  client.end('POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 4\r\n\r\nwarm')
  await once(client, 'close')
  await once(server.close(), 'close')
}

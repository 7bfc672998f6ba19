import { chmodSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { readJsonLines } from './json-lines.ts'
import { log } from './log.ts'
import type { Answer, LauncherCommand, Numbered } from './protocol.ts'

/** Carries out commands that come over the unix socket. `onClose` hears of every connection that ended. */
export function listenForControl(
  path: string,
  run: (command: LauncherCommand, from: Socket) => Promise<unknown>,
  onClose: (from: Socket) => void,
): Server {
  // Whoever started this launcher found nobody behind a socket that still lies there.
  rmSync(path, { force: true })
  const server = createServer((socket) => {
    socket.on('error', () => undefined) // 'close' follows
    socket.on('close', () => onClose(socket))
    readJsonLines(socket, (message) => void answer(socket, message as Numbered<LauncherCommand>, run))
  })
  server.listen(path, () => chmodSync(path, 0o600))
  return server
}

async function answer(
  socket: Socket,
  command: Numbered<LauncherCommand>,
  run: (command: LauncherCommand, from: Socket) => Promise<unknown>,
): Promise<void> {
  const reply: Answer = await run(command, socket).then(
    (result) => ({ id: command.id, result }),
    (error: Error & { code?: unknown }) => {
      const code = error.code === 'conflict' || error.code === 'unavailable' ? error.code : 'internal'
      if (code === 'internal') log('a command failed', { command: command.do, error: error.stack })
      return { id: command.id, error: { code, message: error.message } }
    },
  )
  if (socket.writable) socket.write(`${JSON.stringify(reply)}\n`)
}

import { ApiError, errorOf } from '@rivetr/sdk/client'
import type { WebSocket } from 'ws'
import type { Session, TerminalStreams } from '../session.ts'

export interface ShellOptions {
  process?: string
  replica?: string
}

/** Without a terminal of one's own. */
const usualSize = { columns: 80, rows: 24 }
/** What ends the input of a program at a terminal: Ctrl-D. */
const endOfInput = '\u0004'

/** A terminal in a replica: what is typed goes there, Ctrl-C too. Exits as the command does. */
export async function shell(
  session: Session,
  app: string,
  command: readonly string[],
  { process, replica }: ShellOptions,
): Promise<number> {
  const { streams } = session
  const query = new URLSearchParams({ ...sizeOf(streams) })
  for (const [name, value] of Object.entries({ process, replica }))
    if (value !== undefined) query.set(name, value)
  for (const word of command) query.append('command', word)
  const socket = await session.openSocket(`/api/apps/${encodeURIComponent(app)}/terminal?${query}`)
  const ended = exitOf(socket, streams)
  socket.resume()
  const onResize = () => socket.send(JSON.stringify({ resize: numbersOf(streams) }))
  streams.stdin.setRawMode?.(true)
  streams.stdout.on?.('resize', onResize)
  const typing = type(socket, streams)
  try {
    return await ended
  } finally {
    streams.stdin.setRawMode?.(false)
    streams.stdout.off?.('resize', onResize)
    socket.terminate()
    streams.stdin.destroy?.() // nobody reads on
    await typing
  }
}

async function type(socket: WebSocket, { stdin }: TerminalStreams): Promise<void> {
  try {
    for await (const typed of stdin) socket.send(Buffer.from(typed))
    if (!stdin.isTTY) socket.send(Buffer.from(endOfInput))
  } catch {
    // It was destroyed, because the command has ended.
  }
}

function exitOf(socket: WebSocket, { stdout }: TerminalStreams): Promise<number> {
  return new Promise((resolve, reject) => {
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (isBinary) return void stdout.write(data)
      const said = JSON.parse(data.toString('utf8')) as { exitCode?: number; error?: unknown }
      if (said.exitCode !== undefined) resolve(said.exitCode)
      else if (said.error !== undefined) reject(errorOf(0, said))
    })
    socket.on('close', (code, reason) => {
      const why = reason.length > 0 ? `: ${reason}` : ''
      reject(new ApiError('unreachable', 0, `the terminal was closed (${code})${why}`))
    })
  })
}

function sizeOf(streams: TerminalStreams): Record<'columns' | 'rows', string> {
  const { columns, rows } = numbersOf(streams)
  return { columns: String(columns), rows: String(rows) }
}

function numbersOf({ stdout }: TerminalStreams): { columns: number; rows: number } {
  return { columns: stdout.columns ?? usualSize.columns, rows: stdout.rows ?? usualSize.rows }
}

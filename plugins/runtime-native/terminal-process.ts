// Holds one terminal, as the child of Rivetr that `terminal.ts` starts. A process of its own, because node-pty leaves
// its end of the terminal to every program that its process starts afterwards, and Rivetr's other groups to the command.
// What is typed comes on standard input, what is shown goes to standard output, the rest are messages.
import { chownSync } from 'node:fs'
import { Socket } from 'node:net'
import type { IPty } from '@lydell/node-pty'
import type { FromTerminal, TerminalStart, ToTerminal } from './terminal.ts'

/** What node-pty has, but does not declare. */
interface Pty extends Omit<IPty, 'write'> {
  /** `/dev/pts/3` */
  readonly ptsName: string
  write(input: string | Uint8Array): void
  on(event: 'error', listener: (error: Error) => void): void
}

/** The terminal is root's until it is given to the app: the command may begin only then. */
const shim = 'until [ -O /dev/stdin ]; do :; done; exec "$@"'

const shown = new Socket({ fd: 1, readable: false })

process.once('message', (message: TerminalStart) => {
  begin(message).catch((error: Error) => leave({ failed: error.message }))
})
// Rivetr is gone: with this process the command loses its terminal, too.
process.once('disconnect', () => process.exit())

async function begin({ program, args, cwd, env, size, uid }: TerminalStart): Promise<void> {
  const { spawn } = await import('@lydell/node-pty')
  if (uid !== undefined) process.setgroups?.([])
  const pty = spawn('/bin/sh', ['-c', shim, 'rivetr', program, ...args], {
    name: 'xterm-256color',
    cols: size.columns,
    rows: size.rows,
    cwd,
    env,
    encoding: null,
    ...(uid === undefined ? {} : { uid, gid: uid }),
  }) as unknown as Pty
  // So that programs may open the terminal by its name, as /dev/stderr does.
  if (uid !== undefined) chownSync(pty.ptsName, uid, uid)
  pty.on('error', () => {}) // the end of the command, for node-pty
  pty.onData((data) => void (shown.write(data) || pty.pause()))
  shown.on('drain', () => pty.resume())
  pty.onExit(({ exitCode, signal }) => shown.end(() => leave({ exitCode: signal ? 128 + signal : exitCode })))
  process.stdin.on('data', (typed: Uint8Array) => pty.write(typed))
  process.on('message', ({ columns, rows }: ToTerminal) => pty.resize(columns, rows))
  say({ pid: pty.pid })
}

function say(message: FromTerminal, then?: () => void): void {
  process.send?.(message, undefined, {}, then)
}

function leave(last: FromTerminal): void {
  say(last, () => process.exit())
}

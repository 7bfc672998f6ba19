import { readFile } from 'node:fs/promises'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Terminal, TerminalOptions, TerminalSize } from '@rivetr/sdk'
import { type Engine, unless } from './engine.ts'

/** An engine that has just started a command may not know its terminal yet. */
const sizeAttempts = 20
const pauseMs = 50
/** What a command that is taken back gets to end by itself. */
const graceMs = 1_000

interface Inspected {
  readonly Running: boolean
  readonly ExitCode: number
  /** As this machine counts, where the engine runs on it. */
  readonly Pid: number
}

/** Runs a command in a container with a terminal of its own. */
export async function openTerminal(
  engine: Engine,
  container: string,
  { command, size, signal }: TerminalOptions,
): Promise<Terminal> {
  const { Id } = await engine.call<{ Id: string }>({
    method: 'POST',
    path: `/containers/${container}/exec`,
    json: {
      Cmd: command,
      Tty: true,
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
      Env: ['TERM=xterm-256color'],
    },
    signal,
  })
  const json = { Detach: false, Tty: true }
  const socket = await engine.hijack({ method: 'POST', path: `/exec/${Id}/start`, json, signal })
  socket.on('error', () => {}) // whoever reads the output learns of it
  const inspect = () => engine.call<Inspected>({ method: 'GET', path: `/exec/${Id}/json` })
  const resize = async ({ columns, rows }: TerminalSize) => {
    const request = { method: 'POST', path: `/exec/${Id}/resize`, query: { w: columns, h: rows } } as const
    for (let attempt = 1; ; attempt++) {
      try {
        return await engine.call(request)
      } catch (error) {
        if (attempt === sizeAttempts || !(await inspect()).Running) throw error
        await sleep(pauseMs)
      }
    }
  }
  const onAbort = () => {
    socket.destroy()
    void endCommand(engine, container, inspect).catch(() => {})
  }
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  const ended = new Promise<void>((resolve) => socket.once('close', resolve))
  const exitCode = ended
    .finally(() => signal.removeEventListener('abort', onAbort))
    .then(() => exitCodeOf(inspect, signal))
  exitCode.catch(() => {}) // it may be that nobody asks
  await resize(size).catch(() => {}) // a command may be over by now
  return {
    output: shown(socket, signal),
    write: (input) => void (socket.writable && socket.write(input)),
    resize: async (next) => void (await unless([404, 409, 500], resize(next))),
    exitCode,
  }
}

async function* shown(socket: Duplex, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    yield* socket
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

async function exitCodeOf(inspect: () => Promise<Inspected>, signal: AbortSignal): Promise<number> {
  for (;;) {
    signal.throwIfAborted()
    const { Running, ExitCode } = await inspect()
    if (!Running) return ExitCode
    await sleep(pauseMs)
  }
}

/** The API has no way to end it, so its process is ended: where it runs on this machine, and only if it is of the container. */
async function endCommand(
  engine: Engine,
  container: string,
  inspect: () => Promise<Inspected>,
): Promise<void> {
  const { Pid, Running } = await inspect()
  if (!Running || Pid <= 0 || !engine.isLocal) return
  for (const signal of ['SIGHUP', 'SIGKILL'] as const) {
    const groups = await readFile(`/proc/${Pid}/cgroup`, 'utf8').catch(() => '')
    if (!groups.includes(container)) return
    process.kill(Pid, signal)
    await sleep(graceMs)
  }
}

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Clock, RivetrError, type Terminal, type TerminalOptions, type TerminalSize } from '@rivetr/sdk'
import { parentId, parentVariable } from '@rivetr/sdk/kit'
import { findProgram } from './program.ts'
import type { Replica } from './replica.ts'

/** What the process of a terminal is told first. */
export interface TerminalStart {
  readonly program: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: Record<string, string>
  readonly size: TerminalSize
  readonly uid: number | undefined
}

/** And from then on. */
export type ToTerminal = TerminalSize

/** That the command runs, how it ended, or why it did not begin. */
export type FromTerminal =
  | { readonly pid: number }
  | { readonly exitCode: number }
  | { readonly failed: string }

/** What its process may take until the command begins; on a busy machine that is a second. */
const startLimitMs = 10_000
/** What a command that is taken back gets to end by itself. */
const graceMs = 1_000
const processFile = fileURLToPath(new URL('terminal-process.ts', import.meta.url))

/** Runs a command as a replica runs, in a session of its own with a terminal. */
export async function openTerminal(
  replica: Replica,
  uid: number | undefined,
  clock: Clock,
  { command: [name = '', ...args], size, signal }: TerminalOptions,
): Promise<Terminal> {
  const { environment } = replica
  const cwd = replica.record.release
  const program = await findProgram(name, environment.PATH ?? '', cwd)
  if (program === undefined)
    throw new RivetrError('invalid_input', `there is no program ${JSON.stringify(name)} in ${cwd} or PATH`)
  signal.throwIfAborted()
  const env = { ...environment, [parentVariable]: parentId }
  const child = startProcess({ program, args, cwd, env, size, uid })
  const end = ofEnd(child, signal)
  let pid: number | undefined
  const onAbort = () => {
    if (pid === undefined) return void child.kill('SIGKILL') // what it may have begun loses its terminal
    const ending = replica.endSession(pid, graceMs, clock)
    void ending.catch(() => {}).finally(() => child.kill('SIGKILL')) // what is left ends with the replica
  }
  signal.addEventListener('abort', onAbort, { once: true })
  const exitCode = end.finally(() => signal.removeEventListener('abort', onAbort))
  exitCode.catch(() => {}) // it may be that nobody asks
  pid = await Promise.race([ofStart(child, clock), end])
  if (signal.aborted) onAbort()
  const { stdin, stdout } = child
  if (stdin === null || stdout === null) throw new Error('a process without pipes')
  return {
    output: stdout,
    write: (input) => void (stdin.writable && stdin.write(input)),
    resize: async (next) => void (child.connected && child.send(next satisfies ToTerminal, () => {})),
    exitCode,
  }
}

function startProcess(start: TerminalStart): ChildProcess {
  const { NODE_COMPILE_CACHE = '' } = process.env
  const child = fork(processFile, {
    cwd: '/',
    env: { NODE_COMPILE_CACHE, [parentVariable]: parentId },
    execArgv: [],
    stdio: ['pipe', 'pipe', 'ignore', 'ipc'],
  })
  child.stdin?.on('error', () => {}) // the command has ended
  child.send(start, () => {})
  return child
}

/** The process that leads the session of the command. One that does not begin in time is killed. */
function ofStart(child: ChildProcess, clock: Clock): Promise<number> {
  return new Promise((resolve, reject) => {
    const takeBack = clock.after(startLimitMs, () => {
      reject(unavailable(`it did not begin within ${startLimitMs / 1_000} s`))
      child.kill('SIGKILL')
    })
    child.once('exit', takeBack)
    child.on('message', (message: FromTerminal) => {
      takeBack()
      if ('pid' in message) resolve(message.pid)
      if ('failed' in message) reject(unavailable(message.failed))
    })
  })
}

/** The exit code of the command, once all is over. */
function ofEnd(child: ChildProcess, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    let exitCode: number | undefined
    child.on('message', (message: FromTerminal) => {
      if ('exitCode' in message) exitCode = message.exitCode
    })
    child.once('error', (error) => reject(unavailable(error.message)))
    child.once('exit', () => {
      if (signal.aborted) reject(signal.reason)
      else if (exitCode === undefined) reject(unavailable('its process has ended'))
      else resolve(exitCode)
    })
  })
}

function unavailable(why: string): RivetrError {
  return new RivetrError(
    'unavailable',
    `no terminal on ${process.platform} ${process.arch}: ${why}; commands without one run as before`,
  )
}

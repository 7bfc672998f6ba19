import { spawn as spawnChild } from 'node:child_process'
import { StringDecoder } from 'node:string_decoder'
import { RivetrError } from '../errors.ts'
import type { LineSink, LogStream } from '../log.ts'
import { parentId, parentVariable } from './parent.ts'

/** A longer line is cut into pieces of this size, so that output without line ends cannot fill the memory. */
const longestLine = 64 * 1024

/** How a program is run. */
export interface SpawnOptions {
  cwd: string
  /** The whole environment, but for `parentVariable`: nothing is inherited. */
  env: Record<string, string>
  /** Kills the whole process group: SIGTERM, and SIGKILL after `killAfterMs`. */
  signal: AbortSignal
  killAfterMs?: number
  uid?: number
  gid?: number
  input?: string | Uint8Array
  onLine?: LineSink
}

/** How it ended. */
export interface SpawnResult {
  /** 128 + n for a process ended by signal n. */
  exitCode: number
  /** The first MiB of standard output. */
  stdout: string
}

/**
 * Runs a program with an argument vector and a fixed environment, never through a shell, as a process group of its own.
 * It ends with this process: at the latest when the next Rivetr starts on the data folder.
 * Resolves with its exit code, whatever it is. Errors: the signal's reason when aborted; `unavailable` when there is no such program.
 */
export function spawn(program: string, args: readonly string[], options: SpawnOptions): Promise<SpawnResult> {
  return new Promise((resolve, reject) => {
    if (options.signal.aborted) return reject(options.signal.reason)
    const child = spawnChild(program, [...args], {
      cwd: options.cwd,
      env: { ...options.env, [parentVariable]: parentId },
      detached: true,
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      ...(options.uid === undefined ? {} : { uid: options.uid }),
      ...(options.gid === undefined ? {} : { gid: options.gid }),
    })
    let stdout = ''
    const outputs = [
      lines(child.stdout, (text) => {
        if (stdout.length < 1024 * 1024) stdout += `${text}\n`
        options.onLine?.(text, 'stdout')
      }),
      lines(child.stderr, (text) => options.onLine?.(text, 'stderr')),
    ]
    child.stdin?.on('error', () => undefined) // a program may end without reading its input
    if (options.input !== undefined) child.stdin?.end(options.input)
    const { pid } = child

    let killTimer: NodeJS.Timeout | undefined
    const stop = () => {
      if (pid === undefined) return
      killGroup(pid, 'SIGTERM')
      killTimer = setTimeout(() => killGroup(pid, 'SIGKILL'), options.killAfterMs ?? 2_000)
    }
    options.signal.addEventListener('abort', stop, { once: true })
    const finish = () => {
      clearTimeout(killTimer)
      options.signal.removeEventListener('abort', stop)
      if (pid !== undefined && options.signal.aborted) killGroup(pid, 'SIGKILL') // what the leader left behind
    }
    child.on('error', (error: NodeJS.ErrnoException) => {
      finish()
      const why = error.code === 'ENOENT' ? 'there is no such program, or its folder is gone' : error.message
      reject(new RivetrError('unavailable', `cannot run ${program}: ${why}`, { cause: error }))
    })
    child.on('close', (code, signal) => {
      finish()
      for (const flush of outputs) flush()
      if (options.signal.aborted) reject(options.signal.reason)
      else resolve({ exitCode: code ?? 128 + signalNumber(signal), stdout })
    })
  })
}

/** Sends a signal to a process group; one that is gone is fine. */
export function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Cuts a byte stream into lines without ever splitting a UTF-8 character. Returns the flush of what has no line end. */
function lines(
  stream: NodeJS.ReadableStream | null,
  onLine: (text: string, stream?: LogStream) => void,
): () => void {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  const cut = () => {
    let end = rest.indexOf('\n')
    while (end >= 0) {
      onLine(rest.slice(0, end).replace(/\r$/, ''))
      rest = rest.slice(end + 1)
      end = rest.indexOf('\n')
    }
    while (rest.length > longestLine) {
      onLine(rest.slice(0, longestLine))
      rest = rest.slice(longestLine)
    }
  }
  stream?.on('data', (chunk: Buffer) => {
    rest += decoder.write(chunk)
    cut()
  })
  return () => {
    rest += decoder.end()
    if (rest !== '') onLine(rest)
    rest = ''
  }
}

const signalNumbers: Record<string, number> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === null ? 0 : (signalNumbers[signal] ?? 0)
}

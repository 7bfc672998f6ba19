import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { BatchMessage, TestResult } from './batch.ts'
import { repositoryRoot } from './test-files.ts'

export interface Batch {
  readonly files: readonly string[]
  /** Of one test. */
  readonly timeoutMs: number
  readonly env: Readonly<Record<string, string>>
  /** Runs the process inside a namespace. */
  readonly prefix?: readonly string[]
  readonly signal: AbortSignal
  readonly onResult: (result: TestResult) => void
}

/** A process of tests that says nothing for this much longer than a test may take hangs. */
const silenceMs = 60_000

/**
 * Runs test files in one process of their own and hands on each result. A process that ends early or hangs is a
 * failed test too. Returns the end of what the tests printed.
 */
export async function runBatch(options: Batch): Promise<string> {
  const { files, timeoutMs, signal, onResult } = options
  const script = fileURLToPath(new URL('batch.ts', import.meta.url))
  const argv = [
    ...(options.prefix ?? []),
    process.execPath,
    script,
    '--timeout-ms',
    String(timeoutMs),
    ...files,
  ]
  const [program = '', ...args] = argv
  const child = spawn(program, args, {
    cwd: repositoryRoot,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })

  let output = ''
  const keep = (chunk: string) => {
    output = (output + chunk).slice(-8_000)
  }
  child.stdout?.setEncoding('utf8').on('data', keep)
  child.stderr?.setEncoding('utf8').on('data', keep)

  let done = false
  let hung = false
  const watchdog = setTimeout(() => {
    hung = true
    child.kill('SIGKILL')
  }, timeoutMs + silenceMs)
  child.on('message', (message: BatchMessage) => {
    watchdog.refresh()
    if ('done' in message) done = true
    else onResult(message.result)
  })

  const abort = () => child.kill('SIGKILL')
  signal.addEventListener('abort', abort)
  const end = await new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(`could not start: ${error.message}`))
    // Not `close`: a daemon that a test left behind may hold the pipes open.
    child.on('exit', (code, killedBy) => resolve(`ended with ${killedBy ?? `exit code ${code}`}`))
  })
  signal.removeEventListener('abort', abort)
  clearTimeout(watchdog)
  child.stdout?.destroy()
  child.stderr?.destroy()

  if (!done && !signal.aborted) {
    const what = hung
      ? `said nothing for ${timeoutMs + silenceMs} ms and was killed`
      : `${end} before its tests did`
    const detail = `The process of the tests ${what}. The end of its output:\n${output}`
    onResult({
      file: files.length === 1 ? String(files[0]) : `one of ${files.length} files`,
      title: 'runs to its end',
      outcome: 'failed',
      durationMs: 0,
      detail,
    })
  }
  return output
}

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

interface CommandOptions {
  readonly cwd?: string
  /** Added to the fixed environment; nothing of this process's own environment reaches the command. */
  readonly env?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
}

/** The whole environment of every command, daemon and server that the tests start. */
export const commandEnv = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' } as const

const runFile = promisify(execFile)

/** Runs one program with an argument vector and returns what it printed; throws with its stderr. */
export async function command(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const [program = '', ...args] = argv
  try {
    const { stdout } = await runFile(program, args, {
      cwd: options.cwd,
      env: { ...commandEnv, ...options.env },
      timeout: options.timeoutMs ?? 60_000,
      maxBuffer: 16 * 1024 * 1024,
    })
    return stdout
  } catch (cause) {
    const stderr = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : ''
    throw new Error(`${argv.join(' ')} failed: ${stderr || String(cause)}`, { cause })
  }
}

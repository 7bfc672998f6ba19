import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../bin/rivetr.mjs', import.meta.url))

export interface CommandOutcome {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command of `rivetr` against the Rivetr of a stage's folder, as a person on its machine does. */
export function rivetrCommand(
  folder: string,
  args: readonly string[],
  input?: string | Uint8Array,
): Promise<CommandOutcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], {
      cwd: folder,
      env: { PATH: process.env.PATH, RIVETR_DATA_DIR: join(folder, 'data') },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const outcome = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        outcome[name] += text
      })
    }
    child.on('error', reject)
    child.on('close', (exitCode) => resolve({ exitCode, ...outcome }))
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
  })
}

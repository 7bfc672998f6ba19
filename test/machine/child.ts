import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { commandEnv } from './command.ts'

const startLimitMs = 15_000

interface ChildOptions {
  readonly argv: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly logFile: string
  /** Whether it is up. */
  ready(): Promise<boolean>
}

/** A server in the foreground that a test starts for itself, and ends. */
export class Child implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #logFile: string

  private constructor(process: ChildProcess, logFile: string) {
    this.#process = process
    this.#logFile = logFile
  }

  static async start({ argv: [program = '', ...args], env, logFile, ready }: ChildOptions): Promise<Child> {
    const log = openSync(logFile, 'a')
    const child = new Child(
      spawn(program, args, { env: { ...commandEnv, ...env }, stdio: ['ignore', log, log] }),
      logFile,
    )
    closeSync(log)
    child.#process.on('error', () => {})
    for (const giveUpAt = Date.now() + startLimitMs; !(await ready().catch(() => false)); await sleep(20)) {
      if (!child.#ended && Date.now() < giveUpAt) continue
      await child.stop()
      throw new Error(`${program} does not come up:\n${(await child.log()).slice(-2_000)}`)
    }
    return child
  }

  log(): Promise<string> {
    return readFile(this.#logFile, 'utf8')
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#ended) return
    const ended = once(this.#process, 'exit')
    this.#process.kill(signal)
    const killer = setTimeout(() => this.#process.kill('SIGKILL'), 5_000)
    await ended
    clearTimeout(killer)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  get #ended(): boolean {
    const { pid, exitCode, signalCode } = this.#process
    return pid === undefined || exitCode !== null || signalCode !== null
  }
}

/** Ports of loopback that nobody has at this moment, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map((server) => {
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    return address.port
  })
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

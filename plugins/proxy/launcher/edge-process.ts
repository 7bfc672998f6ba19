import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { GivenCertificates } from './given-certificates.ts'
import { log } from './log.ts'
import {
  type Answer,
  type EdgeCommand,
  type EdgeSettings,
  type LauncherSettings,
  type Loaded,
  listenFds,
} from './protocol.ts'

/** An edge that owes an answer for so long hangs, and is replaced. */
const silenceLimitMs = 2_000
/** Writing the snapshot may wait for a slow disk; meanwhile the edge answers pings. */
const commandLimitMs = 10_000
const startLimitMs = 20_000
const pingEveryMs = 250

const edgeFile = fileURLToPath(new URL('../edge/main.ts', import.meta.url))

interface Question {
  resolve(result: unknown): void
  reject(error: Error): void
  timer: NodeJS.Timeout
}

/** One running edge, from spawn to exit. */
export class EdgeProcess {
  /** Resolves when it can be commanded; rejects when it ended before. */
  readonly loaded: Promise<void>
  /** Resolves when the process is gone. */
  readonly exited: Promise<void>
  readonly startedAtMs = performance.now()
  readonly #child: ChildProcess
  readonly #questions = new Map<number, Question>()
  #nextId = 1
  readonly #given = new GivenCertificates()

  constructor(settings: LauncherSettings, folder: string) {
    const forEdge: EdgeSettings = { ...settings.edge, tlsPort: settings.tlsPort }
    this.#child = spawn(process.execPath, [edgeFile, JSON.stringify(forEdge)], {
      cwd: folder,
      env: process.env,
      stdio: ['ignore', 'inherit', 'inherit', ...listenFds(settings), 'ipc'],
    })
    const start = Promise.withResolvers<void>()
    this.loaded = start.promise
    this.loaded.catch(() => undefined) // whoever commands it hears of it
    const startTimer = setTimeout(() => this.kill(`not loaded after ${startLimitMs} ms`), startLimitMs)
    this.#child.on('message', (message: Answer | Loaded) => {
      if ('loaded' in message) {
        clearTimeout(startTimer)
        start.resolve()
        this.#pingAgain()
      } else this.#answered(message)
    })
    this.#child.on('error', (error) => log('an edge cannot be started or reached', { error: error.message }))
    const exit = Promise.withResolvers<void>()
    this.exited = exit.promise
    const ended = (code: number | null, signal: NodeJS.Signals | null) => {
      clearTimeout(startTimer)
      log('an edge ended', { edge: this.pid, code, signal })
      const gone = new Error(`edge ${this.pid} ended`)
      start.reject(gone)
      for (const question of this.#questions.values()) this.#settle(question, () => question.reject(gone))
      this.#questions.clear()
      exit.resolve()
    }
    this.#child.once('exit', ended)
    if (this.pid === undefined) this.#child.once('error', () => ended(null, null))
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null && this.pid !== undefined
  }

  /** Rejects when the edge ends without an answer. One that owes an answer for too long is killed. */
  async ask(command: EdgeCommand): Promise<unknown> {
    if (command.do === 'ping' || command.do === 'stats') return this.#send(command, silenceLimitMs)
    const [result] = await Promise.all([
      this.#send(this.#given.leftOutOf(command), commandLimitMs).catch((error: unknown) => {
        this.#given.forget()
        throw error
      }),
      this.#send({ do: 'ping' }, silenceLimitMs),
    ])
    return result
  }

  /** Stops accepting, finishes what is in flight, ends. Resolves when it is gone, by force after the limit. */
  async drain(limitMs: number): Promise<void> {
    if (this.#child.connected) this.#child.send({ id: 0, do: 'drain', limitMs })
    const timer = setTimeout(() => this.kill('it did not drain in time'), limitMs + 1_000)
    await this.exited
    clearTimeout(timer)
  }

  kill(reason: string): void {
    if (!this.running) return
    log('an edge is killed', { edge: this.pid, reason })
    this.#child.kill('SIGKILL')
  }

  #send(command: EdgeCommand, limitMs: number): Promise<unknown> {
    if (!this.#child.connected) return Promise.reject(new Error(`edge ${this.pid} is gone`))
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.kill(`no answer to ${command.do} for ${limitMs} ms`), limitMs)
      this.#questions.set(id, { resolve, reject, timer })
      this.#child.send({ ...command, id })
    })
  }

  #answered(answer: Answer): void {
    const question = this.#questions.get(answer.id)
    if (question === undefined) return
    this.#questions.delete(answer.id)
    const { error } = answer
    this.#settle(question, () =>
      error === undefined ? question.resolve(answer.result) : question.reject(new Error(error.message)),
    )
  }

  #settle(question: Question, settle: () => void): void {
    clearTimeout(question.timer)
    settle()
  }

  #pingAgain(): void {
    setTimeout(() => {
      if (!this.#child.connected) return
      this.ask({ do: 'ping' }).then(
        () => this.#pingAgain(),
        () => undefined, // it ended; its slot knows
      )
    }, pingEveryMs).unref()
  }
}

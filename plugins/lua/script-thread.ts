import { MessageChannel, Worker } from 'node:worker_threads'
import { type FromThread, type HostReply, type Job, type Outcome, shared } from './messages.ts'
import type { Plain } from './plain.ts'

/** What the host does for a script. Errors become errors of Lua. */
export type HostCall = (name: string, args: readonly Plain[], signal: AbortSignal) => Promise<Plain>

export interface RunLimits {
  /** How long it may compute, in all. Waiting for the host does not count. */
  readonly computeMs: number
  /** How long it may take with everything. */
  readonly totalMs: number
}

export interface RunParts {
  readonly call: HostCall
  readonly onLine: (text: string) => void
  readonly limits: RunLimits
  readonly signal: AbortSignal
}

/** Why a script was ended. */
export type Spent = 'time' | 'total' | 'instructions' | 'strings' | 'memory'

/** A script that was ended, at this line. */
export class Ended extends Error {
  readonly what: Spent
  readonly line: number
  constructor(what: Spent, line: number) {
    super(what)
    this.what = what
    this.line = line
  }
}

/** A warm thread that runs scripts, one job at a time. One that had to be ended cannot be used again. */
export class ScriptThread {
  readonly #worker: Worker
  readonly #state = new Int32Array(new SharedArrayBuffer(4 * shared.length))
  readonly #answers = new MessageChannel()
  readonly #ready: Promise<void>
  #onMessage: (message: FromThread) => void = () => undefined
  #onEnd: (error: Error & { code?: string }) => void = () => undefined
  #ended = false

  constructor(heapMiB: number) {
    this.#worker = new Worker(new URL('./script-worker.ts', import.meta.url), {
      workerData: { state: this.#state, answers: this.#answers.port2 },
      transferList: [this.#answers.port2],
      env: {},
      execArgv: [],
      stdin: false,
      resourceLimits: { maxOldGenerationSizeMb: heapMiB, maxYoungGenerationSizeMb: 8, stackSizeMb: 2 },
    })
    this.#worker.unref()
    this.#answers.port1.unref()
    const ready = Promise.withResolvers<void>()
    ready.promise.catch(() => {})
    this.#ready = ready.promise
    this.#worker.on('message', (message: FromThread) => {
      if (message.kind === 'ready') ready.resolve()
      else this.#onMessage(message)
    })
    const end = (error: Error) => {
      this.#ended = true
      ready.reject(error)
      this.#onEnd(error)
    }
    this.#worker.on('error', end)
    this.#worker.on('exit', () => end(new Error('the thread has ended')))
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Errors: `Ended`; the signal's reason. Both end the thread. */
  async run(job: Job, { call, onLine, limits, signal }: RunParts): Promise<Outcome> {
    await this.#ready
    signal.throwIfAborted()
    this.#worker.ref()
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>()
    const stop = new AbortController()
    const end = (what: Spent) => reject(new Ended(what, this.#state[shared.line] ?? 0))
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    const total = setTimeout(end, limits.totalMs, 'total')
    const compute = new Stopwatch(limits.computeMs, () => end('time'))
    this.#onEnd = (error) => {
      if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') end('memory')
      else reject(error)
    }
    this.#onMessage = (message) => {
      if (message.kind === 'line') onLine(message.text)
      else if (message.kind === 'outcome') resolve(message.outcome)
      else if (message.kind === 'spent') end(message.what)
      else if (message.kind === 'call') {
        compute.pause()
        void this.#answer(call(message.name, message.args, stop.signal)).then(() => {
          if (!stop.signal.aborted) compute.go()
        })
      }
    }
    try {
      this.#state[shared.line] = 0
      compute.go()
      this.#worker.postMessage(job)
      return await promise
    } catch (error) {
      await this.stop()
      throw error
    } finally {
      stop.abort()
      signal.removeEventListener('abort', onAbort)
      clearTimeout(total)
      compute.pause()
      this.#onMessage = () => undefined
      this.#onEnd = () => undefined
      this.#worker.unref()
    }
  }

  async stop(): Promise<void> {
    this.#ended = true
    this.#answers.port1.close()
    await this.#worker.terminate()
  }

  async #answer(answer: Promise<Plain>): Promise<void> {
    const reply: HostReply = await answer.then(
      (value) => ({ value }),
      (error: Error) => ({ fault: error.message }),
    )
    if (this.#ended) return
    this.#answers.port1.postMessage(reply)
    Atomics.store(this.#state, shared.answered, 1)
    Atomics.notify(this.#state, shared.answered)
  }
}

/** Goes off when it has run for so long in all. */
class Stopwatch {
  #leftMs: number
  #since = 0
  #timer: NodeJS.Timeout | undefined
  readonly #goOff: () => void

  constructor(limitMs: number, goOff: () => void) {
    this.#leftMs = limitMs
    this.#goOff = goOff
  }

  go(): void {
    if (this.#timer !== undefined) return
    this.#since = performance.now()
    this.#timer = setTimeout(this.#goOff, this.#leftMs)
  }

  pause(): void {
    if (this.#timer === undefined) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#leftMs = Math.max(0, this.#leftMs - (performance.now() - this.#since))
  }
}

import { type Logger, RivetrError } from '@rivetr/sdk'
import type { HandlerCall, Outcome, Registration, ScriptText, ThreadLimits } from './messages.ts'
import type { Plain } from './plain.ts'
import { Ended, type HostCall, type RunLimits, ScriptThread, type Spent } from './script-thread.ts'

export interface RunnerLimits extends ThreadLimits, RunLimits {
  readonly heapMiB: number
  /** How many scripts run at once. */
  readonly threads: number
}

interface RunOptions {
  readonly call: HostCall
  readonly onLine: (text: string) => void
  readonly signal: AbortSignal
}

/** Runs scripts, in threads that are kept warm. */
export class Runner {
  readonly #limits: RunnerLimits
  readonly #log: Logger
  readonly #idle: ScriptThread[] = []
  readonly #waiting = new Set<() => void>()
  #running = 0

  constructor(limits: RunnerLimits, log: Logger) {
    this.#limits = limits
    this.#log = log
  }

  /** What a script says that it taps. Nothing of it is called. Errors: `invalid_input`. */
  async registrations(script: ScriptText, signal: AbortSignal): Promise<readonly Registration[]> {
    const nothing = { call: async () => undefined, onLine: () => undefined, signal }
    const outcome = await this.#run(script, undefined, nothing)
    return outcome.registrations
  }

  /** Calls one of its functions; returns what that returned. Errors: `refused`, with script, line and the calls that led there. */
  async call(script: ScriptText, call: HandlerCall, options: RunOptions): Promise<Plain> {
    return (await this.#run(script, call, options)).result
  }

  async stop(): Promise<void> {
    for (const thread of this.#idle.splice(0)) await thread.stop()
  }

  async #run(
    script: ScriptText,
    call: HandlerCall | undefined,
    { signal, ...parts }: RunOptions,
  ): Promise<Exclude<Outcome, { fault: unknown }>> {
    const code = call === undefined ? 'invalid_input' : 'refused'
    const thread = await this.#take(signal)
    let outcome: Outcome
    try {
      outcome = await thread.run(
        { script, call, limits: this.#limits },
        { ...parts, signal, limits: this.#limits },
      )
    } catch (error) {
      if (!(error instanceof Ended)) throw error
      const at = `${script.name}${error.line > 0 ? `:${error.line}` : ''}`
      throw new RivetrError(code, `${at}: ended, as it ${this.#sentence(error.what)}`, { cause: error })
    } finally {
      this.#giveBack(thread)
    }
    if (!('fault' in outcome)) return outcome
    const { message, traceback } = outcome.fault
    if (traceback !== '') this.#log.debug(`${message}\n${traceback}`)
    throw new RivetrError(code, message, { details: { traceback } })
  }

  #sentence(what: Spent): string {
    const { computeMs, totalMs, instructions, stringBytes, heapMiB } = this.#limits
    const sentences = {
      time: `computed for more than ${computeMs} ms`,
      total: `took more than ${totalMs} ms`,
      instructions: `ran more than ${instructions} instructions`,
      strings: `made more than ${stringBytes} bytes of strings`,
      memory: `needed more than ${heapMiB} MiB of memory`,
    }
    return sentences[what]
  }

  async #take(signal: AbortSignal): Promise<ScriptThread> {
    while (this.#running >= this.#limits.threads) await this.#turn(signal)
    signal.throwIfAborted()
    this.#running += 1
    return this.#idle.pop() ?? new ScriptThread(this.#limits.heapMiB)
  }

  async #turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.add(resolve)
    signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
    this.#waiting.delete(resolve)
    signal.throwIfAborted()
  }

  #giveBack(thread: ScriptThread): void {
    this.#running -= 1
    if (!thread.ended) this.#idle.push(thread)
    const [next] = this.#waiting
    if (next === undefined) return
    this.#waiting.delete(next)
    next()
  }
}

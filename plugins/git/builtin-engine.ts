import { Worker } from 'node:worker_threads'
import type { Answer, Job } from './builtin-worker.ts'
import type { CheckedOut, Checkout, GitEngine, Place } from './engine.ts'
import { type Fault, notOnBranch, sourceFault } from './fault.ts'
import type { TransferLimits } from './transfer-watch.ts'

/** Packs are read in memory; what does not fit there is work for the git program. */
const heapMiB = 1024

export interface BuiltinSettings extends TransferLimits {
  /** PEM of authorities that are trusted beside the usual ones. */
  readonly ca?: string | undefined
  /** What `Outgoing` may dial although it is not public. */
  readonly outgoingAllow: readonly string[]
}

/** Isomorphic-git in a thread of its own for each piece of work: it would block ours for half a second, and a thread can be ended. */
export class BuiltinEngine implements GitEngine {
  readonly #settings: BuiltinSettings

  constructor(settings: BuiltinSettings) {
    this.#settings = settings
  }

  async refs(place: Place, signal: AbortSignal): Promise<Map<string, string>> {
    return (await this.#run({ kind: 'refs', place }, signal)) as Map<string, string>
  }

  async checkout({ place, commit, branch, into, onLine, signal }: Checkout): Promise<CheckedOut> {
    if (commit.length !== 40)
      throw sourceFault(
        'content',
        `the repository ${place.url} has SHA-256 ids, which the builtin engine does not read: install git, or set engine = "system"`,
      )
    const job = { kind: 'checkout', place, commit, branch, into } as const
    const got = (await this.#run(job, signal, onLine)) as CheckedOut | undefined
    if (got === undefined) throw notOnBranch(commit, branch, place.url)
    return got
  }

  async #run(job: Job, signal: AbortSignal, onLine?: (text: string) => void): Promise<unknown> {
    signal.throwIfAborted()
    if (job.place.url.startsWith('file:'))
      throw sourceFault('address', `${job.place.url} is read by the git program alone: install git`)
    return new Promise((resolve, reject) => {
      const worker = new Worker(new URL('builtin-worker.ts', import.meta.url), {
        workerData: { job, settings: this.#settings },
        env: {},
        resourceLimits: { maxOldGenerationSizeMb: heapMiB },
      })
      const stop = () => void worker.terminate()
      signal.addEventListener('abort', stop, { once: true })
      let answer: Exclude<Answer, { line: string }> | undefined
      let broke: Error | undefined
      worker.on('message', (message: Answer) => {
        if ('line' in message) onLine?.(message.line)
        else answer = message
      })
      worker.on('error', (error) => {
        broke = error as Error
      })
      // Only then nothing of it writes into the folder any more.
      worker.on('exit', () => {
        signal.removeEventListener('abort', stop)
        if (signal.aborted) reject(signal.reason)
        else if (answer !== undefined && 'result' in answer) resolve(answer.result)
        else if (answer !== undefined) reject(sourceFault(answer.fault, answer.message))
        else reject(brokenThread(job.place, broke))
      })
    })
  }
}

function brokenThread({ url }: Place, error: (Error & { code?: string }) | undefined): Error {
  const fault: Fault = 'transfer'
  if (error?.code === 'ERR_WORKER_OUT_OF_MEMORY')
    return sourceFault(
      fault,
      `the repository ${url} is too big for the builtin engine: install git, or set engine = "system"`,
    )
  return sourceFault(
    fault,
    `the builtin engine failed on ${url}: ${error?.message ?? 'it ended without an answer'}`,
  )
}

import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Logger,
  messageOf,
  RivetrError,
  type RouteTable,
  type Traffic,
  type TrafficStats,
} from '@rivetr/sdk'
import type { Applied, LauncherCommand, LauncherSettings, WholeTable } from '../launcher/protocol.ts'
import { ContributedTaps, type EdgeContributions } from './contributed-taps.ts'
import { type DefaultCertificate, defaultCertificate } from './default-certificate.ts'
import { LastCertificates } from './last-certificates.ts'
import { connectLauncher, endAll, type RunningLauncher } from './launcher.ts'
import { LauncherGone } from './launcher-client.ts'

/** How long a command may take altogether, a new launcher included. */
const commandLimitMs = 30_000
/** Between attempts to start a launcher again. */
const firstPauseMs = 100
const longestPauseMs = 10_000

/**
 * Traffic through the launcher's edges. When the launcher dies, a new one is started and given the last table.
 * It waits on real time, not on the Clock: what it waits for are processes.
 */
export class EdgeTraffic implements Traffic {
  #running: Promise<RunningLauncher>
  #last: WholeTable | undefined
  readonly #certificates = new LastCertificates()
  #fallback: DefaultCertificate | undefined
  readonly #stopped = new AbortController()
  #settings: LauncherSettings
  readonly #log: Logger
  readonly #taps: ContributedTaps

  constructor(settings: LauncherSettings, log: Logger, contributions?: EdgeContributions) {
    this.#settings = settings
    this.#log = log
    this.#taps = new ContributedTaps(contributions, log, (taps) => this.#ask({ do: 'taps', taps }))
    const notStarted = new RivetrError('unavailable', 'the proxy has not been started')
    this.#running = Promise.reject(notStarted)
    this.#running.catch(() => undefined)
  }

  /** Connects to the launcher that runs, or starts one. Errors: `address_in_use`, `unavailable`. */
  async start(): Promise<void> {
    this.#running = connectLauncher(this.#settings, this.#stopped.signal, this.#log)
    const running = await this.#running
    const { port, tlsPort } = running
    if (tlsPort !== null) this.#fallback = await defaultCertificate(dirname(this.#settings.folder))
    this.#settings = { ...this.#settings, port, tlsPort } // a launcher after this one listens on no other
    this.#watch(running)
  }

  /** Leaves launcher and edges running, except where a start that failed has just made them. */
  async disconnect(): Promise<void> {
    this.#stopped.abort()
    this.#taps.end()
    const running = await this.#running.catch(() => undefined)
    if (running?.found === false && this.#last === undefined) return this.stopAll()
    running?.client.close()
    await running?.client.closed
  }

  /** Ends launcher and edges: they stop accepting and finish what is in flight. Resolves when they are gone. */
  async stopAll(): Promise<void> {
    this.#stopped.abort()
    this.#taps.end()
    const running = await this.#running.catch(() => undefined)
    await running?.client.ask({ do: 'stop' }).catch(() => undefined) // gone already
    await running?.client.closed
    await endAll(this.#settings)
  }

  /** Where the edges listen. */
  async bound(): Promise<{ address: string; port: number; tlsPort: number | null }> {
    const { address, port, tlsPort } = await this.#running
    return { address, port, tlsPort }
  }

  async apply(table: RouteTable, epoch: number, generation: number): Promise<void> {
    await this.#taps.begin() // every plugin was set up by now
    const { certificates: list, ...routes } = table
    const certificates = this.#certificates.textOf({ certificates: list, fallback: this.#fallback })
    const text = JSON.stringify(routes)
    const next = { table: { epoch, generation, text, certificates: certificates.revision }, certificates }
    this.#last = next
    await give(next, (command) => this.#ask(command))
  }

  async hold(app: string, limitMs: number): Promise<void> {
    await this.#ask({ do: 'hold', app, limitMs })
  }

  async release(app: string): Promise<void> {
    await this.#ask({ do: 'release', app })
  }

  async stats(): Promise<TrafficStats> {
    return (await this.#ask({ do: 'stats' })) as TrafficStats
  }

  /** Starts the edges anew, one by one, without a lost request. */
  async replaceEdges(): Promise<void> {
    await this.#ask({ do: 'replace' })
  }

  async #ask(command: LauncherCommand): Promise<unknown> {
    const limit = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(commandLimitMs)])
    for (;;) {
      try {
        const { client } = await abortable(this.#running, limit)
        return await abortable(client.ask(command), limit)
      } catch (error) {
        if (limit.aborted) {
          const why = this.#stopped.signal.aborted
            ? 'it was stopped'
            : `no answer within ${commandLimitMs} ms`
          throw new RivetrError('unavailable', `the proxy did not carry out ${command.do}: ${why}`, {
            cause: error,
          })
        }
        // Every command may be given twice, and `#watch` is about to replace the launcher.
        if (!(error instanceof LauncherGone)) throw error
        await sleep(firstPauseMs)
      }
    }
  }

  #watch({ client }: RunningLauncher): void {
    void client.closed.then(() => {
      if (this.#stopped.signal.aborted) return
      this.#log.warn('the launcher of the proxy is gone; starting another')
      this.#running = this.#revive()
      this.#running.then(
        (running) => this.#watch(running),
        () => undefined, // stopped meanwhile
      )
    })
  }

  async #revive(): Promise<RunningLauncher> {
    const { signal } = this.#stopped
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      try {
        const running = await connectLauncher(this.#settings, signal, this.#log)
        if (this.#last !== undefined) await give(this.#last, (command) => running.client.ask(command))
        return running
      } catch (error) {
        signal.throwIfAborted()
        this.#log.error('cannot start the launcher of the proxy; trying again', {
          error: messageOf(error),
          afterMs: pauseMs,
        })
        await sleep(pauseMs, undefined, { signal })
      }
    }
  }
}

/** The certificates of thousands of hosts go along only where the launcher has others. */
async function give(
  { table, certificates }: WholeTable,
  ask: (command: LauncherCommand) => Promise<unknown>,
): Promise<void> {
  const { wants } = (await ask({ do: 'apply', table })) as Applied
  if (wants === 'certificates') await ask({ do: 'apply', table, certificates })
}

function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

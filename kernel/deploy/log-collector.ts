import { Runtime } from '@rivetr/sdk'
import { errorFields } from '../host/logger.ts'
import type { AppLogs } from './app-logs.ts'
import { withDeadline } from './deadline.ts'
import type { ReplicaRecord } from './ledger.ts'
import type { DeployParts } from './parts.ts'
import { secretMask } from './secret-mask.ts'

/** How long the rest of a log may take to come; what comes later of a replica that is removed is lost. */
const restLimitMs = 5_000

export interface CollectorParts
  extends Pick<DeployParts, 'config' | 'clock' | 'log' | 'ledger' | 'providers' | 'secrets'> {
  readonly appLogs: AppLogs
}

interface Following {
  readonly app: string
  readonly stop: AbortController
  ended: Promise<void>
  /** It was started again before its end was noticed. */
  again: boolean
}

/**
 * Takes what replicas print into the logs of their apps. The engine's own log is the buffer: where the last line stood that
 * was taken is known, so what is printed while Rivetr, an engine or a disk is away is taken afterwards.
 */
export class LogCollector {
  readonly #parts: CollectorParts
  readonly #stopping = new AbortController()
  readonly #following = new Map<string, Following>()
  readonly #gone = new Set<string>()
  readonly #catchingUp = new Map<string, Promise<void>>()
  #looking: Promise<void> = Promise.resolve()

  constructor(parts: CollectorParts) {
    this.#parts = parts
  }

  /** From now on; looks every so often for replicas that nobody listens to. */
  start(): void {
    this.#looking = this.#look()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#looking
    await Promise.all([...this.#following.values()].map(({ ended }) => ended))
    await Promise.all(this.#catchingUp.values())
  }

  /** It was started. Idempotent. */
  follow(replica: ReplicaRecord): void {
    if (this.#stopping.signal.aborted || this.#gone.has(replica.app) || !this.#hasLog(replica)) return
    const known = this.#following.get(replica.id)
    if (known !== undefined) known.again = true
    if (known !== undefined) return
    const stop = new AbortController()
    const following: Following = { app: replica.app, stop, ended: Promise.resolve(), again: false }
    this.#following.set(replica.id, following)
    following.ended = this.#take(replica, true, AbortSignal.any([stop.signal, this.#stopping.signal]))
      .catch((error: unknown) => {
        if (!stop.signal.aborted && !this.#stopping.signal.aborted)
          this.#parts.log.debug(`the log of replica ${replica.id} is not read now`, errorFields(error))
      })
      .finally(() => {
        this.#following.delete(replica.id)
        if (following.again && !stop.signal.aborted) this.follow(replica)
      })
  }

  /** An app is removed, and its log with it. */
  async leave(app: string): Promise<void> {
    this.#gone.add(app)
    const of = [...this.#following.values()].filter((following) => following.app === app)
    for (const { stop } of of) stop.abort()
    await Promise.all(of.map(({ ended }) => ended))
  }

  /** Takes what there is now, before somebody reads. What an engine does not give in time is missing. */
  async catchUp(app: string): Promise<void> {
    const replicas = await this.#standing({ app })
    await Promise.all(replicas.map((replica) => this.#catchUp(replica)))
  }

  /** Takes what there is, before its log goes with it. */
  finish(replica: ReplicaRecord): Promise<void> {
    return this.#catchUp(replica, true)
  }

  /** Once the replica is removed. Not before: whoever came again would take its log from the beginning. */
  async forget(replica: ReplicaRecord): Promise<void> {
    await this.#parts.appLogs.writing(replica.app, async (log) => log.forget(replica.id))
  }

  #catchUp(replica: ReplicaRecord, last = false): Promise<void> {
    const under = this.#catchingUp.get(replica.id)
    if (under !== undefined && !last) return under
    const work = (under ?? Promise.resolve())
      .then(() => this.#takeNow(replica))
      .finally(() => {
        if (this.#catchingUp.get(replica.id) === work) this.#catchingUp.delete(replica.id)
        if (!last) this.follow(replica)
      })
    this.#catchingUp.set(replica.id, work)
    return work
  }

  async #takeNow(replica: ReplicaRecord): Promise<void> {
    const following = this.#following.get(replica.id)
    following?.stop.abort()
    await following?.ended
    if (!this.#hasLog(replica)) return
    const { clock, log } = this.#parts
    try {
      await withDeadline(clock, restLimitMs, 'reading a log', this.#stopping.signal, (signal) =>
        this.#take(replica, false, signal),
      )
    } catch (error) {
      log.debug(`the log of replica ${replica.id} was not read to its end`, errorFields(error))
    }
  }

  async #take(replica: ReplicaRecord, follow: boolean, signal: AbortSignal): Promise<void> {
    const { appLogs, providers } = this.#parts
    const { id, app, process, index } = replica
    const masked = await secretMask(this.#parts, app)
    const from = `${process}.${index + 1}`
    await appLogs.writing(app, async (log) => {
      const after = log.cursorOf(id)
      const lines = providers.runtime(replica.runtime).logs(id, { follow, after, signal })
      for await (const { at, stream, text, cursor } of lines) {
        signal.throwIfAborted()
        await log.add({ at, stream, text: masked(text), from, replica: id, cursor }, signal)
      }
    })
  }

  async #look(): Promise<void> {
    const { clock, config, log } = this.#parts
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        for (const replica of await this.#standing({}))
          if (!this.#catchingUp.has(replica.id)) this.follow(replica)
      } catch (error) {
        log.debug('it was not looked for replicas that print', errorFields(error))
      }
      await clock.sleep(config.monitorIntervalMs, signal).catch(() => undefined)
    }
  }

  #hasLog({ runtime }: ReplicaRecord): boolean {
    return this.#parts.providers.all(Runtime).get(runtime)?.capabilities.includes('logs') ?? false
  }

  #standing(where: { readonly app?: string }): Promise<ReplicaRecord[]> {
    return this.#parts.ledger.replicas({ ...where, state: { $in: ['starting', 'ready', 'draining'] } })
  }
}

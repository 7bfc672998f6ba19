import { type App, messageOf, type ReplicaExit, type ReplicaStatus, systemPrincipal } from '@rivetr/sdk'
import { replicaView } from '../data/deployment-view.ts'
import { openSnapshot, remarkOn } from '../data/env.ts'
import { errorFields } from '../host/logger.ts'
import { withDeadline } from './deadline.ts'
import type { ReplicaRecord } from './ledger.ts'
import type { DeployParts } from './parts.ts'
import { healthOf, probe } from './probe.ts'
import { type ReleaseRecord, replicaSpec } from './replica-spec.ts'
import { stopTimeoutOf } from './steps/retire.ts'

/** How long an engine that starts replicas again by itself may take before its replica leaves the table. */
const comeBackMs = 3_000
const comeBackPollMs = 250
/** Pause before a start: doubles with each, and is short again after a life of this length. */
const firstPauseMs = 1_000
const longestPauseMs = 60_000
export const goodLifeMs = 120_000
/** Pause before an engine that is away is asked again. */
const awayMs = 1_000
const engineLimitMs = 60_000

interface Life {
  readonly startedAtMs: number
  readonly pauseMs: number
}

/** Whether it may have traffic: an engine that restarts could have given it another endpoint. */
export function runsWhereItShould(
  { address, port }: ReplicaRecord,
  status: ReplicaStatus | undefined,
): boolean {
  if (!status?.running) return false
  return !address || (status.endpoint?.address === address && status.endpoint.port === port)
}

/** How a replica ended that vanished: whoever removed it killed it. */
export const vanished: ReplicaExit = { exitCode: 137, oom: false }

/** Brings a live replica that fell back into the table: started where it was, and asked before it gets traffic. */
export class Revival {
  readonly #parts: DeployParts
  readonly #stopping: AbortSignal
  readonly #lives = new Map<string, Life>()

  constructor(parts: DeployParts, stopping: AbortSignal) {
    this.#parts = parts
    this.#stopping = stopping
  }

  /** Without a pause, and before the first table is made: the machine or Rivetr has only just started. */
  async startNow(replica: ReplicaRecord, status: ReplicaStatus | undefined): Promise<void> {
    await this.#parts.ledger.setReplica(replica.id, 'starting', status?.exit)
    if (runsWhereItShould(replica, status)) return
    await this.#startAgain(replica, status, firstPauseMs).catch((error: unknown) =>
      this.#parts.log.error(
        `replica ${replica.id} does not run and could not be started`,
        errorFields(error),
      ),
    )
  }

  /** One that is live and unwell: out of the table, ended, and started again like one that fell. */
  async renew(replica: ReplicaRecord, unwell: string): Promise<void> {
    const { clock, ledger, providers, log } = this.#parts
    if (!(await this.#withdraw(replica, undefined, unwell))) return
    log.warn(`replica ${replica.id} is ended and started again: ${unwell}`)
    const timeoutMs = await stopTimeoutOf(this.#parts, replica)
    const runtime = providers.runtime(replica.runtime)
    await withDeadline(clock, timeoutMs + engineLimitMs, `stopping ${replica.id}`, this.#stopping, () =>
      runtime.stop(replica.id, { timeoutMs }),
    )
    const exit = (await this.#find(replica))?.exit ?? vanished
    await ledger.countFall(replica.id, { ...exit, unwell })
    return this.run(replica, true)
  }

  /** Ends when the replica is ready, when its release is not live any more, or when Rivetr stops. */
  async run(replica: ReplicaRecord, atBoot: boolean): Promise<void> {
    let said = ''
    try {
      if (!atBoot && !(await this.#leaveTable(replica))) return
      for (let attempt = 1; await this.#isLive(replica.id); attempt++) {
        try {
          if (await this.#attempt(replica, attempt)) return
        } catch (error) {
          this.#stopping.throwIfAborted()
          if (messageOf(error) !== said)
            this.#parts.log.warn(`replica ${replica.id} is not back: ${messageOf(error)}`, errorFields(error))
          said = messageOf(error)
          await this.#parts.clock.sleep(awayMs, this.#stopping)
        }
      }
      await this.#removeUnwanted(replica)
    } catch (error) {
      if (!this.#stopping.aborted) throw error
    }
  }

  /** False: the engine was quicker, or is away, and everything stays as it is. */
  async #leaveTable(replica: ReplicaRecord): Promise<boolean> {
    let status: ReplicaStatus | undefined
    try {
      status = this.#keeps(replica) ? await this.#comesBack(replica, comeBackMs) : await this.#find(replica)
    } catch {
      return false // the monitor says that the engine is away
    }
    if (replica.state === 'ready' && runsWhereItShould(replica, status)) return false
    if (replica.state === 'starting') return true
    const detail = status?.running ? 'it runs at another endpoint' : 'it ended'
    return this.#withdraw(replica, status?.exit, detail)
  }

  /** False: it serves no more. */
  async #withdraw(replica: ReplicaRecord, exit: ReplicaExit | undefined, detail: string): Promise<boolean> {
    const { ledger, tables, hooks } = this.#parts
    if (!(await ledger.setReplica(replica.id, 'starting', exit))) return false
    await tables.publishForCertain(this.#stopping)
    const app = await this.#app(replica)
    const [now = replica] = await ledger.replicas({ id: replica.id })
    hooks.notify('healthChanged', { app, replica: replicaView(now), from: 'ready', to: 'starting', detail })
    return true
  }

  /** One look, and one deed that follows from it. True: it is ready. */
  async #attempt(replica: ReplicaRecord, attempt: number): Promise<boolean> {
    const { clock } = this.#parts
    const status = await this.#find(replica)
    if (!runsWhereItShould(replica, status)) {
      const pauseMs = this.#pauseOf(replica.id)
      if (!status?.running && !this.#keeps(replica)) await clock.sleep(pauseMs, this.#stopping)
      else if (!status?.running && (await this.#comesBack(replica, pauseMs))?.running) return false
      if (await this.#isLive(replica.id)) await this.#startAgain(replica, status, pauseMs)
      return false
    }
    const release = await this.#release(replica)
    const settings = healthOf(release)
    const app = await this.#app(replica)
    const { healthy, detail } = replica.address
      ? await probe(this.#parts, app, replica, settings, attempt, this.#stopping)
      : { healthy: true, detail: 'it runs' }
    if (healthy) return this.#enterTable(app, replica, detail)
    await clock.sleep(settings.intervalMs, this.#stopping)
    return false
  }

  async #enterTable(app: App, replica: ReplicaRecord, detail: string): Promise<boolean> {
    const { ledger, tables, hooks, log } = this.#parts
    if (!(await ledger.setReplica(replica.id, 'ready'))) return false
    await tables.publishForCertain(this.#stopping)
    log.info(`replica ${replica.id} of ${app.name} is back: ${detail}`)
    const [now = replica] = await ledger.replicas({ id: replica.id })
    hooks.notify('healthChanged', { app, replica: replicaView(now), from: 'starting', to: 'ready', detail })
    return true
  }

  async #startAgain(
    replica: ReplicaRecord,
    status: ReplicaStatus | undefined,
    pauseMs: number,
  ): Promise<void> {
    const { providers, secrets, log } = this.#parts
    const runtime = providers.runtime(replica.runtime)
    const release = await this.#release(replica)
    const app = await this.#app(replica)
    const { env, replaced } = await openSnapshot(secrets, app.id, release.env)
    this.#lives.set(replica.id, { startedAtMs: this.#parts.clock.now(), pauseMs })
    if (status?.running) await runtime.remove(replica.id) // at another endpoint
    log.warn(`replica ${replica.id} of ${app.name} does not run; starting it again${remarkOn(replaced)}`)
    try {
      await this.#bounded(`starting ${replica.id}`, (signal) =>
        runtime.start(replicaSpec(app, replica, release, env), signal),
      )
      this.#parts.collector.follow(replica)
    } catch (error) {
      // What is left of it may be the reason (its network is gone): the next start makes it anew.
      if (!this.#stopping.aborted) await runtime.remove(replica.id).catch(() => undefined)
      throw error
    }
  }

  /** Watches for a while whether the engine starts it by itself; what it saw last. */
  async #comesBack(replica: ReplicaRecord, withinMs: number): Promise<ReplicaStatus | undefined> {
    const { clock } = this.#parts
    const giveUpAt = clock.now() + withinMs
    for (;;) {
      const status = await this.#find(replica)
      if (status?.running || clock.now() >= giveUpAt) return status
      await clock.sleep(comeBackPollMs, this.#stopping)
    }
  }

  /** The next release took over while this one was being started, and may have stopped it before. */
  async #removeUnwanted({ id, runtime }: ReplicaRecord): Promise<void> {
    this.#lives.delete(id)
    await this.#parts.providers.runtime(runtime).remove(id)
  }

  #pauseOf(id: string): number {
    const last = this.#lives.get(id)
    if (last === undefined || this.#parts.clock.now() - last.startedAtMs > goodLifeMs) return firstPauseMs
    return Math.min(last.pauseMs * 2, longestPauseMs)
  }

  #keeps({ runtime }: ReplicaRecord): boolean {
    return this.#parts.providers.runtime(runtime).capabilities.includes('keep')
  }

  async #isLive(id: string): Promise<boolean> {
    const { ledger } = this.#parts
    const [row] = await ledger.replicas({ id, state: { $in: ['starting', 'ready'] } })
    return row !== undefined && (await ledger.serves(row.deployment))
  }

  async #find({ id, runtime }: ReplicaRecord): Promise<ReplicaStatus | undefined> {
    const statuses = await this.#bounded(`the runtime ${runtime}`, (signal) =>
      this.#parts.providers.runtime(runtime).list(signal),
    )
    return statuses.find((status) => status.id === id)
  }

  async #release(replica: ReplicaRecord): Promise<ReleaseRecord> {
    const release = await this.#parts.ledger.release(replica.release)
    if (release === undefined) throw new Error(`no release ${replica.release}`)
    return release
  }

  #app({ app }: ReplicaRecord): Promise<App> {
    return this.#parts.apps.get(systemPrincipal('kernel'), app)
  }

  #bounded<T>(what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return withDeadline(this.#parts.clock, engineLimitMs, what, this.#stopping, work)
  }
}

import { messageOf } from '@rivetr/sdk'
import { errorFields } from '../../host/logger.ts'
import { withDeadline } from '../deadline.ts'
import type { ReplicaRecord } from '../ledger.ts'
import type { DeployParts } from '../parts.ts'
import { trimApp } from '../retention.ts'
import { untilRead, untilWritten } from '../until-written.ts'

const pollMs = 100
/** Pause before a replica that could not be retired is tried again; doubles with each try. */
const firstPauseMs = 1_000
const longestPauseMs = 60_000
/** Above a replica's own time to end, and for its removal: an engine that hangs is asked anew. */
const engineLimitMs = 30_000

/** Retires old replicas of apps, however often it takes: until they are gone, or Rivetr stops. */
export class Retirement {
  readonly #parts: DeployParts
  readonly #stopping: AbortSignal
  readonly #ending = new Map<string, Promise<void>>()

  constructor(parts: DeployParts, stopping: AbortSignal) {
    this.#parts = parts
    this.#stopping = stopping
  }

  /**
   * Lets the draining replicas of an app finish what they serve, then stops and removes them, and with them what the app
   * keeps no longer. Idempotent; also run at boot.
   */
  async retire(app: string): Promise<void> {
    const { ledger } = this.#parts
    const { draining, liveDeployment } = await untilRead(
      this.#parts,
      'what is to be retired',
      this.#stopping,
      async () => ({
        draining: await ledger.replicas({ app, state: 'draining' }),
        liveDeployment: (await ledger.app(app)).liveDeployment,
      }),
    )
    // The step belongs to the deployment that took over; the last one of a boot that was cut stays in its rows as it was.
    const old = draining.some(({ deployment }) => deployment !== liveDeployment) // else the app was stopped
    const step = liveDeployment && old ? await this.#enter(liveDeployment) : undefined
    await Promise.all(draining.map((replica) => this.#end(replica)))
    if (this.#stopping.aborted) return
    if (step !== undefined)
      await this.#written('the end of the step retire', () => ledger.leaveStep(step, 'done'))
    await trimApp(this.#parts, app)
  }

  async #enter(deployment: string): Promise<string> {
    const { ledger } = this.#parts
    const { attempt } = await ledger.get(deployment)
    return this.#written('the step retire', () => ledger.enterStep(deployment, attempt, 'retire'))
  }

  /** A deployment that goes live meanwhile waits for the same end. */
  #end(replica: ReplicaRecord): Promise<void> {
    const ending =
      this.#ending.get(replica.id) ?? this.#tryOn(replica).finally(() => this.#ending.delete(replica.id))
    this.#ending.set(replica.id, ending)
    return ending
  }

  async #tryOn(replica: ReplicaRecord): Promise<void> {
    const { log, clock, config } = this.#parts
    const drainEndsAt = clock.now() + config.drainMs
    let said = ''
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      try {
        if (await this.#isDraining(replica)) await this.#try(replica, drainEndsAt)
        return
      } catch (error) {
        if (this.#stopping.aborted) return // goes on at the next boot
        if (messageOf(error) !== said)
          log.error(
            `replica ${replica.id} could not be retired now and is tried again: ${messageOf(error)}`,
            errorFields(error),
          )
        said = messageOf(error)
        await clock.sleep(pauseMs, this.#stopping).catch(() => undefined)
      }
    }
  }

  async #try(replica: ReplicaRecord, drainEndsAt: number): Promise<void> {
    const { ledger, providers } = this.#parts
    const { id } = replica
    await this.#drained(id, drainEndsAt)
    const timeoutMs = await stopTimeoutOf(this.#parts, replica)
    const runtime = providers.runtime(replica.runtime)
    await this.#bounded(`stopping ${id}`, timeoutMs + engineLimitMs, () => runtime.stop(id, { timeoutMs }))
    await this.#parts.collector.finish(replica)
    await this.#bounded(`removing ${id}`, engineLimitMs, () => runtime.remove(id))
    await this.#parts.collector.forget(replica)
    await ledger.setReplica(id, 'stopped')
  }

  /** Until no edge has a request under way to it, or the drain time is over. */
  async #drained(replica: string, drainEndsAt: number): Promise<void> {
    const { providers, clock } = this.#parts
    while (clock.now() < drainEndsAt) {
      const { inFlight } = await providers.traffic().stats()
      if ((inFlight[replica] ?? 0) === 0) return
      await clock.sleep(pollMs, this.#stopping)
    }
  }

  /** Its app may have been removed meanwhile, and its row with it. */
  async #isDraining({ id }: ReplicaRecord): Promise<boolean> {
    return (await this.#parts.ledger.replicas({ id, state: 'draining' })).length > 0
  }

  #bounded(what: string, limitMs: number, work: () => Promise<void>): Promise<void> {
    return withDeadline(this.#parts.clock, limitMs, what, this.#stopping, work)
  }

  #written<T>(what: string, write: () => Promise<T>): Promise<T> {
    return untilWritten(this.#parts, what, this.#stopping, write)
  }
}

export async function stopTimeoutOf({ ledger }: DeployParts, replica: ReplicaRecord): Promise<number> {
  return (await ledger.release(replica.release))?.processes[replica.process]?.stopTimeoutMs ?? 10_000
}

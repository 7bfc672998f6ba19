import { type App, type HealthSettings, systemPrincipal } from '@rivetr/sdk'
import { errorFields } from '../host/logger.ts'
import type { ReplicaRecord } from './ledger.ts'
import type { DeployParts } from './parts.ts'
import { healthOf, probe } from './probe.ts'

interface Watch {
  /** Undefined where its app does not want it asked. */
  readonly settings: (HealthSettings & { liveness: NonNullable<HealthSettings['liveness']> }) | undefined
  nextAtMs: number
  failures: number
}

/** Asks live replicas again and again whether they are well, where their release wants that. */
export class Liveness {
  readonly #parts: DeployParts
  readonly #stopping: AbortSignal
  readonly #watches = new Map<string, Watch>()

  constructor(parts: DeployParts, stopping: AbortSignal) {
    this.#parts = parts
    this.#stopping = stopping
  }

  /** Asks if it is time. What was found, when it was unwell so often in a row that it is to be started anew. */
  async unwell(replica: ReplicaRecord): Promise<string | undefined> {
    const { clock, apps, log } = this.#parts
    const watch = await this.#watchOf(replica)
    const { settings } = watch
    if (settings === undefined || clock.now() < watch.nextAtMs) return undefined
    // From now on, not from the answer: else every second look would come a moment too early.
    watch.nextAtMs = clock.now() + settings.liveness.intervalMs
    const app = await apps.see(systemPrincipal('kernel'), replica.app)
    const attempt = watch.failures + 1
    const found = await this.#probe(app, replica, settings, attempt)
    if (found === undefined) return undefined
    watch.failures = found.healthy ? 0 : attempt
    if (found.healthy) return undefined
    log.warn(`replica ${replica.id} of ${app.name} is unwell: ${found.detail}`, { failures: attempt })
    return attempt < settings.liveness.failures ? undefined : found.detail
  }

  /** It ends, or is started anew: it counts from the beginning. */
  forget(replica: string): void {
    this.#watches.delete(replica)
  }

  /** Undefined where nobody could ask: that says nothing of the replica. */
  async #probe(app: App, replica: ReplicaRecord, settings: HealthSettings, attempt: number) {
    try {
      return await probe(this.#parts, app, replica, settings, attempt, this.#stopping)
    } catch (error) {
      this.#stopping.throwIfAborted()
      this.#parts.log.warn(`whether replica ${replica.id} is well could not be asked`, errorFields(error))
      return undefined
    }
  }

  async #watchOf({ id, release, address }: ReplicaRecord): Promise<Watch> {
    const known = this.#watches.get(id)
    if (known !== undefined) return known
    const row = await this.#parts.ledger.release(release)
    const health = row && healthOf(row)
    const liveness = health?.liveness
    const asked = health && liveness && address ? { ...health, liveness } : undefined
    // It has only just been asked by the deployment, or when it came back.
    const nextAtMs = this.#parts.clock.now() + (liveness?.intervalMs ?? 0)
    const watch = { settings: asked, nextAtMs, failures: 0 }
    this.#watches.set(id, watch)
    return watch
  }
}

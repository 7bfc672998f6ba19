import { type Logger, messageOf } from '@rivetr/sdk'
import type { CaRest } from './ca-rest.ts'
import type { AcmeConfig } from './config.ts'
import type { Issuer } from './issuer.ts'
import type { Unit } from './planner.ts'
import type { Served } from './served.ts'

export interface OrderLanesParts {
  readonly config: Pick<AcmeConfig, 'maxOrders'>
  readonly issuer: Pick<Issuer, 'issue'>
  readonly rest: Pick<CaRest, 'extend'>
  readonly served: Pick<Served, 'refresh'>
  readonly log: Logger
}

/** Orders under way, beside each other and each for itself. */
export class OrderLanes {
  readonly #parts: OrderLanesParts
  readonly #busy = new Set<string>()
  readonly #underWay = new Set<Promise<void>>()

  constructor(parts: OrderLanesParts) {
    this.#parts = parts
  }

  isBusy(host: string): boolean {
    return this.#busy.has(host)
  }

  /**
   * As many as there are lanes, and `done` at the end of each: then the next can begin. Hosts that failed before never take the
   * last lane, so that many that hang do not keep a new one waiting.
   */
  begin(units: readonly Unit[], done: () => void): void {
    const { maxOrders } = this.#parts.config
    for (const unit of units) {
      const lanes = unit.failures === 0 ? maxOrders : Math.max(1, maxOrders - 1)
      if (this.#underWay.size < lanes) this.#begin(unit, done)
    }
  }

  /** Resolves when the last one has ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  #begin(unit: Unit, done: () => void): void {
    for (const host of unit.hosts) this.#busy.add(host)
    const order = this.#issue(unit)
      .catch((error: unknown) => {
        this.#parts.log.error('what came of an order is not kept', { error: messageOf(error) })
      })
      .finally(() => {
        this.#underWay.delete(order)
        for (const host of unit.hosts) this.#busy.delete(host)
        done()
      })
    this.#underWay.add(order)
  }

  async #issue(unit: Unit): Promise<void> {
    const { issuer, rest, served } = this.#parts
    const { issued, pausedUntil } = await issuer.issue(unit)
    if (pausedUntil !== undefined) await rest.extend(pausedUntil)
    if (issued) await served.refresh()
  }
}

import {
  type Certificates,
  type Clock,
  type Logger,
  messageOf,
  type Routes,
  type TableSecurity,
} from '@rivetr/sdk'
import type { CaRest } from './ca-rest.ts'
import type { AcmeConfig } from './config.ts'
import type { ExpiryWatch } from './expiry-watch.ts'
import type { HostBook } from './host-book.ts'
import type { OrderLanes } from './order-lanes.ts'
import type { OwnCertificates } from './own-certificates.ts'
import type { PairStore } from './pair-store.ts'
import { plan } from './planner.ts'
import type { Proofs } from './proofs.ts'
import type { Served } from './served.ts'
import type { Wishes } from './wishes.ts'

const hourMs = 3_600_000
const minuteMs = 60_000
const shortestMs = 1_000

export interface KeeperParts {
  readonly config: Pick<AcmeConfig, 'groups'>
  readonly hosts: HostBook
  readonly pairs: PairStore
  readonly own: OwnCertificates
  readonly served: Served
  readonly lanes: OrderLanes
  readonly rest: CaRest
  readonly proofs: Proofs
  readonly expiry: ExpiryWatch
  readonly wishes: Wishes
  readonly routes: Pick<Routes, 'publish'>
  readonly clock: Clock
  readonly log: Logger
  readonly signal: AbortSignal
}

/**
 * Keeps a valid certificate for every host of a route. It looks again and again at what is to be done, one round after the other:
 * when something has changed, and when the next thing falls due. What takes long goes on beside the rounds.
 */
export class Keeper implements Certificates {
  readonly #parts: KeeperParts
  readonly #said = new Set<string>()
  #round: Promise<void> | undefined
  #again = false
  #takeTimerBack: () => void = () => undefined

  constructor(parts: KeeperParts) {
    this.#parts = parts
  }

  /** Opens what is stored. What cannot be served is asked for again. */
  async load(): Promise<void> {
    const { own, hosts, pairs, rest, served } = this.#parts
    await Promise.all([own.load(), rest.load()])
    const names = new Set((await hosts.all()).flatMap(({ pair }) => pair ?? []))
    await Promise.all([...names].map((name) => pairs.load(name)))
    await served.refresh()
  }

  async ensure(hosts: readonly string[]): Promise<void> {
    await this.#parts.hosts.want(hosts)
    await this.#parts.served.refresh()
    this.wake()
  }

  async forTable(): Promise<TableSecurity> {
    return this.#parts.served.forTable()
  }

  /** After something changed that says which certificates are served; resolves when the edges have it. */
  async changed(): Promise<void> {
    await this.#parts.served.refresh()
    await this.#parts.routes.publish()
    this.wake()
  }

  /** Looks soon at what is to be done. */
  wake(): void {
    this.#again = true
    this.#round ??= this.#rounds().finally(() => {
      this.#round = undefined
      // Asked for in the moment in which the last round ended.
      if (this.#again && !this.#parts.signal.aborted) this.wake()
    })
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    await this.#round
    this.#takeTimerBack()
    await this.#parts.lanes.ended()
  }

  async #rounds(): Promise<void> {
    while (this.#again && !this.#parts.signal.aborted) {
      this.#again = false
      await this.#look().catch((error: unknown) => {
        this.#parts.log.error('certificates are not looked after', { error: messageOf(error) })
        this.#wakeIn(minuteMs)
      })
    }
  }

  async #look(): Promise<void> {
    const { hosts, own, pairs, config, clock, expiry, wishes, rest, served, lanes } = this.#parts
    const now = clock.now()
    const wanted = (await hosts.all()).filter(({ wanted }) => wanted)
    await expiry.look(wanted)
    if (served.isOutdated) this.#publish()
    const rows = wanted.filter(({ host }) => own.covering(host) === undefined && !this.#isRefused(host))
    wishes.ask(rows, () => this.wake())
    const candidates = rows.map((row) => ({
      row,
      pair: pairs.find(row.pair ?? ''),
      busy: lanes.isBusy(row.host),
    }))
    const { due, nextAt = now + hourMs } = plan(candidates, config.groups, now)
    if (rest.endsAt === undefined) lanes.begin(due, () => this.wake())
    const next = Math.min(rest.endsAt ?? nextAt, served.firstEnd ?? nextAt)
    this.#wakeIn(Math.min(Math.max(next - now, shortestMs), hourMs))
  }

  #wakeIn(ms: number): void {
    this.#takeTimerBack()
    this.#takeTimerBack = this.#parts.clock.after(ms, () => this.wake())
  }

  /** Said once, for it will not change by itself. */
  #isRefused(host: string): boolean {
    const reason = this.#parts.proofs.reasonAgainst(host)
    if (reason === undefined) return false
    if (!this.#said.has(reason)) {
      this.#said.add(reason)
      this.#parts.log.warn(`no certificate for ${host}: ${reason}`)
    }
    return true
  }

  /** Edges that did not take it get it with the next table of anybody's, and in a minute at the latest. */
  #publish(): void {
    this.#parts.routes.publish().catch((error: unknown) => {
      this.#parts.log.error('the edges do not have the new certificates yet', { error: messageOf(error) })
      this.#parts.served.wasNotTaken()
      this.#wakeIn(minuteMs)
    })
  }
}

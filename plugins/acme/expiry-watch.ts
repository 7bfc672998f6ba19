import type { Clock, Hooks, Logger } from '@rivetr/sdk'
import type { AcmeConfig } from './config.ts'
import type { HostBook, HostRecord } from './host-book.ts'
import type { OwnCertificates } from './own-certificates.ts'
import type { Pair } from './pair.ts'
import type { PairStore } from './pair-store.ts'
import { warningDue } from './renewal-time.ts'

const hourMs = 3_600_000

export interface ExpiryWatchParts {
  readonly config: Pick<AcmeConfig, 'warnDays'>
  readonly hosts: HostBook
  readonly pairs: PairStore
  readonly own: OwnCertificates
  readonly hooks: Hooks
  readonly clock: Clock
  readonly log: Logger
}

/** Tells of certificates that come to their end while nothing has taken their place. */
export class ExpiryWatch {
  readonly #parts: ExpiryWatchParts

  constructor(parts: ExpiryWatchParts) {
    this.#parts = parts
  }

  async look(wanted: readonly HostRecord[]): Promise<void> {
    const { own, hosts, pairs, config, clock } = this.#parts
    const now = clock.now()
    for (const { id, hosts: names, pair, told } of own.all) {
      const days = pair && warningDue(pair, now, config.warnDays, told ?? undefined)
      if (pair === undefined || days === undefined) continue
      await own.told(id, days)
      this.#tell(names, pair, now)
    }
    for (const { host, pair: name, failures, renewAt, told } of wanted) {
      const pair = pairs.find(name ?? '')
      // Without a failure it is only about to be renewed; unless nobody asks: the terms, the zone or the CA's rest is in the way.
      const isLate = failures > 0 || (renewAt ?? 0) < now - hourMs
      if (pair === undefined || !isLate || own.covering(host) !== undefined) continue
      const days = warningDue(pair, now, config.warnDays, told ?? undefined)
      if (days === undefined) continue
      await hosts.set(host, { told: days })
      this.#tell([host], pair, now)
    }
  }

  #tell(hosts: readonly string[], pair: Pair, now: number): void {
    const days = Math.max(0, Math.ceil((pair.notAfter - now) / 86_400_000))
    const notAfter = new Date(pair.notAfter).toISOString()
    this.#parts.log.error(
      `the certificate for ${hosts.join(', ')} ends at ${notAfter}, and none has taken its place`,
    )
    this.#parts.hooks.notify('certExpiring', { hosts, notAfter, days })
  }
}

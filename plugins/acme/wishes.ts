import { type Clock, type Logger, messageOf } from '@rivetr/sdk'
import type { AcmeConfig } from './config.ts'
import type { Line } from './exchange.ts'
import type { HostBook, HostRecord } from './host-book.ts'
import type { Pair } from './pair.ts'
import type { PairStore } from './pair-store.ts'

const askAgainMs = 6 * 3_600_000

export interface WishesParts {
  readonly config: Pick<AcmeConfig, 'directoryUrl'>
  readonly hosts: HostBook
  readonly pairs: PairStore
  readonly clock: Clock
  readonly log: Logger
  readonly signal: AbortSignal
  line(): Promise<Line>
}

/** Asks the CA when it wants its certificates renewed, earlier or later than we would by ourselves. */
export class Wishes {
  readonly #parts: WishesParts
  readonly #asking = new Set<string>()

  constructor(parts: WishesParts) {
    this.#parts = parts
  }

  /** Begins what is due, and calls `done` when one of them has come to its end. */
  ask(rows: readonly HostRecord[], done: () => void): void {
    const { pairs, clock, hosts, log } = this.#parts
    const now = clock.now()
    for (const { host, pair: name, askAt, renewAt } of rows) {
      const pair = pairs.find(name ?? '')
      if (name === null || pair === undefined || askAt === null || askAt > now || this.#asking.has(name))
        continue
      // Hosts of a group share it, and the moment.
      this.#asking.add(name)
      this.#ask(name, pair, renewAt ?? undefined)
        .catch((error: unknown) => {
          if (this.#parts.signal.aborted) return
          log.warn(`the CA does not say when ${host} is to be renewed`, { error: messageOf(error) })
          return hosts.setOfPair(name, { askAt: now + askAgainMs })
        })
        .catch((error: unknown) => {
          log.error(`what the CA says of the renewal of ${host} is not kept`, { error: messageOf(error) })
        })
        .finally(() => {
          this.#asking.delete(name)
          done()
        })
    }
  }

  async #ask(name: string, pair: Pair, renewAt: number | undefined): Promise<void> {
    const { config, hosts, line, signal } = this.#parts
    const { askRenewalInfo, momentIn } = await import('./renewal-info.ts')
    const wish = await askRenewalInfo(config.directoryUrl, pair, { ...(await line()), signal })
    await hosts.setOfPair(
      name,
      wish === undefined ? { askAt: null } : { askAt: wish.askAt, renewAt: momentIn(wish, renewAt) },
    )
  }
}

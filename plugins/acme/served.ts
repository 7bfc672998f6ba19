import type { Clock, TableCertificate, TableSecurity } from '@rivetr/sdk'
import type { HostBook } from './host-book.ts'
import type { OwnCertificates } from './own-certificates.ts'
import type { Pair } from './pair.ts'
import type { PairStore } from './pair-store.ts'
import type { TableAnswers } from './table-answers.ts'

export interface ServedParts {
  readonly hosts: HostBook
  readonly pairs: PairStore
  readonly own: OwnCertificates
  readonly answers: TableAnswers
  readonly clock: Clock
}

/** What the edges are to have: certificates of hosts that a route names, uploaded ones first, and answers to challenges. */
export class Served {
  readonly #parts: ServedParts
  #fromCa: readonly Pair[] = []
  /** Undefined: nobody knows. */
  #shown: readonly Pair[] | undefined = []

  constructor(parts: ServedParts) {
    this.#parts = parts
  }

  /** After rows have changed. */
  async refresh(): Promise<void> {
    const { hosts, pairs } = this.#parts
    const names = new Set((await hosts.all()).flatMap(({ wanted, pair }) => (wanted && pair ? pair : [])))
    this.#fromCa = [...names]
      .flatMap((name) => pairs.find(name) ?? [])
      .sort((a, b) => b.notAfter - a.notAfter)
  }

  forTable(): TableSecurity {
    const valid = this.#valid
    this.#shown = valid
    return { certificates: valid.map(forTable), challenges: this.#parts.answers.list }
  }

  /** The last table has others than those that are to be served now: one came, or one has ended. */
  get isOutdated(): boolean {
    const [valid, shown] = [this.#valid, this.#shown]
    return shown?.length !== valid.length || valid.some((pair, index) => pair !== shown[index])
  }

  /** The edges did not take the last table. */
  wasNotTaken(): void {
    this.#shown = undefined
  }

  /** When the first of them ends. */
  get firstEnd(): number | undefined {
    const ends = this.#valid.map(({ notAfter }) => notAfter)
    return ends.length === 0 ? undefined : Math.min(...ends)
  }

  get #valid(): readonly Pair[] {
    const now = this.#parts.clock.now()
    return [...this.#parts.own.valid, ...this.#fromCa.filter(({ notAfter }) => notAfter > now)]
  }
}

function forTable({ hosts, chain, key }: Pair): TableCertificate {
  return { hosts, chain, key }
}

import { type Clock, type Database, type Logger, RivetrError } from '@rivetr/sdk'
import { Own } from './entities.ts'
import { hashOf } from './host-book.ts'
import { covers, endedIn, type Pair } from './pair.ts'
import type { PairStore } from './pair-store.ts'

/** A certificate that somebody brought. */
export interface OwnCertificate {
  readonly id: string
  readonly hosts: readonly string[]
  readonly addedAt: number
  readonly told: number | null
  /** Absent where what is stored cannot be served. */
  readonly pair: Pair | undefined
}

/** Certificates that were brought; each wins over the CA's for all of its names, as long as it is valid. */
export class OwnCertificates {
  readonly #database: Database
  readonly #pairs: PairStore
  readonly #clock: Clock
  readonly #log: Logger
  #all: readonly OwnCertificate[] = []

  constructor(database: Database, pairs: PairStore, clock: Clock, log: Logger) {
    this.#database = database
    this.#pairs = pairs
    this.#clock = clock
    this.#log = log
  }

  /** One that cannot be served is left out, loudly; the others are not its prisoners. */
  async load(): Promise<void> {
    const rows = await this.#database.rows.find(Own, {}, { orderBy: { addedAt: 'asc' } })
    this.#all = await Promise.all(
      rows.map(async (row) => {
        const pair = await this.#pairs.load(secretName(row.id))
        if (pair === undefined)
          this.#log.error(`the own certificate for ${row.hosts.join(', ')} cannot be served; upload it again`)
        const { id, hosts, addedAt, told = null } = row
        return { id, hosts, addedAt, told, pair }
      }),
    )
  }

  get all(): readonly OwnCertificate[] {
    return this.#all
  }

  /** Those that can be served now, the one that ends last first. */
  get valid(): readonly Pair[] {
    const now = this.#clock.now()
    return this.#all
      .flatMap(({ pair }) => (pair !== undefined && pair.notAfter > now ? pair : []))
      .sort((a, b) => b.notAfter - a.notAfter)
  }

  covering(host: string): Pair | undefined {
    return this.valid.find((pair) => covers(pair, host))
  }

  /** Takes the place of one for the same hosts. Errors: `invalid_input` when clients would not take it now. */
  async add(pair: Pair): Promise<void> {
    const now = this.#clock.now()
    const ended = endedIn(pair.chain, now)
    if (ended !== undefined) throw new RivetrError('invalid_input', ended)
    if (pair.notBefore > now)
      throw new RivetrError(
        'invalid_input',
        `the certificate begins only at ${new Date(pair.notBefore).toISOString()}`,
      )
    const id = hashOf(pair.hosts)
    await this.#pairs.put(secretName(id), pair)
    await this.#database.rows.upsert(Own, { id, hosts: [...pair.hosts], addedAt: now, told: null })
    await this.load()
  }

  /** The one that names the host, by that very name; of several the one that is served. */
  async remove(host: string): Promise<void> {
    const naming = this.#all.filter(({ hosts }) => hosts.includes(host))
    const [served] = naming.sort((a, b) => (b.pair?.notAfter ?? 0) - (a.pair?.notAfter ?? 0))
    if (served === undefined)
      throw new RivetrError(
        'not_found',
        `no uploaded certificate names ${host}; "rivetr certificates list" shows all`,
      )
    await this.#database.rows.nativeDelete(Own, { id: served.id })
    await this.#pairs.remove(secretName(served.id))
    await this.load()
  }

  async told(id: string, days: number): Promise<void> {
    await this.#database.rows.nativeUpdate(Own, { id }, { told: days })
    this.#all = this.#all.map((each) => (each.id === id ? { ...each, told: days } : each))
  }
}

function secretName(id: string): string {
  return `acme.own.${id}`
}

import { createHash } from 'node:crypto'
import type { Database, Rows } from '@rivetr/sdk'
import { lastHour } from './back-off.ts'
import { type Fault, Host } from './entities.ts'

/** A row, as plain data. */
export interface HostRecord {
  readonly host: string
  readonly wanted: boolean
  readonly pair: string | null
  readonly renewAt: number | null
  readonly askAt: number | null
  readonly failures: number
  readonly retryAt: number | null
  readonly fault: Fault | null
  readonly orders: readonly number[]
  readonly told: number | null
}

const fresh = {
  pair: null,
  renewAt: null,
  askAt: null,
  failures: 0,
  retryAt: null,
  fault: null,
  orders: [],
  told: null,
} as const

/**
 * What is remembered of hosts. A host that no route names any more keeps its row, so that taking a route away and bringing it back
 * is no way around the pause after a failure, and costs no second certificate.
 */
export class HostBook {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async all(): Promise<readonly HostRecord[]> {
    return (await this.#database.rows.find(Host, {}, { orderBy: { host: 'asc' } })).map(record)
  }

  async find(host: string): Promise<HostRecord | undefined> {
    const row = await this.#database.rows.findOne(Host, { host })
    return row === null ? undefined : record(row)
  }

  /** Exactly these are named by routes now. */
  async want(hosts: readonly string[]): Promise<void> {
    await this.#database.transaction(async (rows) => {
      const known = new Map((await rows.find(Host, {})).map((row) => [row.host, row.wanted]))
      const wanted = new Set(hosts)
      const missing = hosts.filter((host) => !known.has(host))
      if (missing.length > 0)
        await rows.insertMany(
          Host,
          missing.map((host) => ({ ...fresh, host, wanted: true, orders: [] })),
        )
      for (const [host, was] of known)
        if (was !== wanted.has(host)) await rows.nativeUpdate(Host, { host }, { wanted: !was })
    })
  }

  /** Counted before the CA is asked: a crash on the way must not make it forgotten. */
  async ordering(hosts: readonly string[], now: number): Promise<void> {
    await this.#eachWanted(hosts, ({ orders }) => ({ orders: [...lastHour(orders, now), now] }))
  }

  /** Returns those that are wanted still; of the others nothing is kept. */
  async issued(
    hosts: readonly string[],
    pair: string,
    renewal: { renewAt: number; askAt: number },
  ): Promise<readonly string[]> {
    const clean = { failures: 0, retryAt: null, fault: null, told: null }
    const kept = await this.#eachWanted(hosts, () => ({ ...clean, pair, ...renewal }))
    return kept.map(({ host }) => host)
  }

  /** The old certificate and its times stay as they are. `until` gets the number of failures in a row. */
  failed(
    hosts: readonly string[],
    fault: Fault,
    until: (failures: number) => number,
  ): Promise<readonly HostRecord[]> {
    return this.#eachWanted(hosts, ({ failures }) => ({
      failures: failures + 1,
      retryAt: until(failures + 1),
      fault,
    }))
  }

  async set(host: string, values: Partial<Omit<HostRecord, 'host' | 'orders'>>): Promise<void> {
    await this.#database.rows.nativeUpdate(Host, { host }, values)
  }

  /** For all hosts that share the certificate. */
  async setOfPair(pair: string, values: Partial<Pick<HostRecord, 'askAt' | 'renewAt'>>): Promise<void> {
    await this.#database.rows.nativeUpdate(Host, { pair }, values)
  }

  async #eachWanted(
    hosts: readonly string[],
    change: (row: HostRecord) => Partial<Omit<HostRecord, 'orders'> & { orders: number[] }>,
  ): Promise<readonly HostRecord[]> {
    return this.#database.transaction(async (rows: Rows) => {
      const found = await rows.find(Host, { host: { $in: [...hosts] }, wanted: true })
      const changed: HostRecord[] = []
      for (const row of found.map(record)) {
        const values = change(row)
        await rows.nativeUpdate(Host, { host: row.host }, values)
        changed.push({ ...row, ...values })
      }
      return changed
    })
  }
}

type Nullable = 'pair' | 'renewAt' | 'askAt' | 'retryAt' | 'fault' | 'told'
type Row = Omit<HostRecord, Nullable> & { readonly [K in Nullable]?: HostRecord[K] | undefined }

function record(row: Row): HostRecord {
  const { host, wanted, pair = null, renewAt = null, askAt = null, failures, orders } = row
  const { retryAt = null, fault = null, told = null } = row
  return { host, wanted, pair, renewAt, askAt, failures, retryAt, fault, orders, told }
}

/** The secret of the certificate for just these hosts. */
export function pairName(hosts: readonly string[]): string {
  return `acme.pair.${hashOf(hosts)}`
}

export function hashOf(hosts: readonly string[]): string {
  return createHash('sha256')
    .update([...hosts].sort().join(' '))
    .digest('hex')
    .slice(0, 32)
}

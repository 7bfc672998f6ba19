import { randomUUIDv7 } from 'node:crypto'
import { type Clock, type Database, type Page, type PageQuery, pageQuery, type Rows } from '@rivetr/sdk'
import { Status } from './entities.ts'
import { type StatusView, viewOf } from './status-view.ts'
import type { WantedStatus } from './wanted-status.ts'

/** What is to be sent. */
export interface Due extends WantedStatus {
  readonly id: string
  readonly app: string
  readonly commit: string
  readonly deployment: string
  readonly revision: number
  readonly failures: number
  readonly retryAt: number | null
}

/** How many commits of an app are kept. */
const kept = 200

/** What git hosts are to say of commits, and what they were told: written down before anything is sent. */
export class Outbox {
  readonly #database: Database
  readonly #clock: Clock

  constructor(database: Database, clock: Clock) {
    this.#database = database
    this.#clock = clock
  }

  /**
   * The newest wins: a later deployment of the commit over an earlier one, an end over what came before it. Whatever the git
   * host refused for good is not asked again for the same deployment.
   */
  async want(app: string, commit: string, deployment: string, wanted: WantedStatus): Promise<void> {
    const { state, description } = wanted
    await this.#database.transaction(async (rows) => {
      const row = await rows.findOne(Status, { app, commit })
      if (row === null) {
        const fresh = { revision: 1, settled: false, failures: 0 }
        await rows.insert(Status, {
          ...{ id: randomUUIDv7(), app, commit, deployment, wanted: state, description, ...fresh },
          ...{ sent: null, sentAt: null, fault: null, retryAt: null },
        })
        await this.#trim(rows, app)
        return
      }
      const another = deployment > row.deployment
      const further = deployment === row.deployment && (row.wanted === 'pending' || state !== 'pending')
      const same = row.wanted === state && row.description === description
      if (!(another || further) || (same && !another)) return
      const givenUp = row.settled && row.fault !== null
      const again = another ? { failures: 0, retryAt: null, fault: null } : {}
      await rows.nativeUpdate(
        Status,
        { id: row.id },
        {
          ...{ deployment, wanted: state, description, revision: row.revision + 1 },
          ...{ settled: !another && givenUp, ...again },
        },
      )
    })
  }

  /** All that is not settled, the oldest first. */
  async due(): Promise<readonly Due[]> {
    const rows = await this.#database.rows.find(Status, { settled: false }, { orderBy: { id: 'asc' } })
    return rows.map(({ wanted, retryAt = null, ...row }) => ({ ...row, state: wanted, retryAt }))
  }

  async sent({ id, revision, state }: Due): Promise<void> {
    const told = { sent: state, sentAt: new Date(this.#clock.now()).toISOString() }
    const clean = { failures: 0, fault: null, retryAt: null }
    await this.#database.transaction(async (rows) => {
      await rows.nativeUpdate(Status, { id }, told)
      await rows.nativeUpdate(Status, { id, revision }, { settled: true, ...clean })
    })
  }

  /** Nothing else of this row is sent before `retryAt`, whatever is wanted meanwhile. */
  async failed({ id, failures }: Due, fault: string, retryAt: number): Promise<void> {
    await this.#database.rows.nativeUpdate(Status, { id }, { failures: failures + 1, fault, retryAt })
  }

  async giveUp({ id, deployment }: Due, fault: string): Promise<void> {
    await this.#database.rows.nativeUpdate(
      Status,
      { id, deployment },
      { settled: true, fault, retryAt: null },
    )
  }

  /** What was given up for the commit that came last is tried again: something was mended. */
  async revive(app: string): Promise<void> {
    await this.#database.transaction(async (rows) => {
      const [last] = await rows.find(Status, { app }, { orderBy: { deployment: 'desc' }, limit: 1 })
      const clean = { settled: false, failures: 0, fault: null, retryAt: null }
      if (last !== undefined && last.fault !== null) await rows.nativeUpdate(Status, { id: last.id }, clean)
    })
  }

  /** Newest first. */
  async list(app: string, query: Partial<PageQuery> = {}): Promise<Page<StatusView>> {
    const { cursor, limit } = pageQuery.parse(query)
    const where = { app, ...(cursor === undefined ? {} : { id: { $lt: cursor } }) }
    const found = await this.#database.rows.find(Status, where, { orderBy: { id: 'desc' }, limit: limit + 1 })
    const items = found.slice(0, limit)
    const last = found.length > limit ? items.at(-1) : undefined
    return { items: items.map(viewOf), ...(last === undefined ? {} : { nextCursor: last.id }) }
  }

  async forget(app: string): Promise<void> {
    await this.#database.rows.nativeDelete(Status, { app })
  }

  async #trim(rows: Rows, app: string): Promise<void> {
    const [tooOld] = await rows.find(Status, { app }, { orderBy: { id: 'desc' }, offset: kept, limit: 1 })
    if (tooOld !== undefined) await rows.nativeDelete(Status, { app, id: { $lte: tooOld.id } })
  }
}

import { randomUUIDv7 } from 'node:crypto'
import {
  type Clock,
  type Database,
  type Page,
  type PageQuery,
  type PushEvent,
  pageQuery,
  type Rows,
  z,
} from '@rivetr/sdk'
import { Delivery, type Outcome, outcomes } from './entities.ts'

export const deliveryView = z.object({
  id: z.string(),
  provider: z.string(),
  /** The id that the git host gave it. */
  delivery: z.string(),
  outcome: z.enum(outcomes),
  reason: z.string().optional(),
  ref: z.string().optional(),
  commit: z.string().optional(),
  pusher: z.string().optional(),
  deployment: z.string().optional(),
  receivedAt: z.iso.datetime(),
})
export type DeliveryView = z.output<typeof deliveryView>

/** What a delivery came to. */
export interface Verdict {
  readonly outcome: Outcome
  readonly reason?: string | undefined
  readonly deployment?: string | undefined
}

export interface DeliveryLogSettings {
  /** How many deliveries of an app are kept. */
  readonly kept: number
  /** A commit that was queued so short a time ago is not queued again. */
  readonly sameCommitMs: number
}

const repeatable: readonly Outcome[] = ['failed', 'refused']

/** The deliveries that were verified, per app: what came, and what it did. Refuses to do anything twice. */
export class DeliveryLog {
  readonly #database: Database
  readonly #clock: Clock
  readonly #settings: DeliveryLogSettings

  constructor(database: Database, clock: Clock, settings: DeliveryLogSettings) {
    this.#database = database
    this.#clock = clock
    this.#settings = settings
  }

  /**
   * Writes a delivery down before anything is done about it, in one transaction with the search for a repeat.
   * Returns the row to settle, or why there is nothing to do.
   */
  claim(
    app: string,
    provider: string,
    delivery: string,
    push?: PushEvent,
  ): Promise<{ id: string } | { repeat: string }> {
    const now = this.#now()
    const fields = {
      outcome: 'received' as Outcome,
      reason: null,
      ref: push?.ref ?? null,
      commit: push?.commit.id ?? null,
      pusher: push?.pusher ?? null,
      deployment: null,
      receivedAt: now,
    }
    return this.#database.transaction(async (rows) => {
      const same = await rows.findOne(Delivery, { app, provider, delivery })
      if (same && !repeatable.includes(same.outcome))
        return { repeat: `this delivery came at ${same.receivedAt} already: ${same.outcome}` }
      const id = same?.id ?? randomUUIDv7()
      const twin = push && (await this.#twin(rows, app, push.commit.id))
      const repeat =
        twin && `commit ${twin.commit} was taken at ${twin.receivedAt} from delivery ${twin.delivery} already`
      const row =
        repeat === undefined ? fields : { ...fields, outcome: 'repeated' as Outcome, reason: repeat }
      if (same) await rows.nativeUpdate(Delivery, { id }, row)
      else await rows.insert(Delivery, { id, app, provider, delivery, ...row })
      await this.#trim(rows, app)
      return repeat === undefined ? { id } : { repeat }
    })
  }

  async settle(id: string, { outcome, reason, deployment }: Verdict): Promise<void> {
    await this.#database.rows.nativeUpdate(
      Delivery,
      { id },
      { outcome, reason: reason ?? null, deployment: deployment ?? null },
    )
  }

  /** What was not decided when Rivetr stopped never will be: it may be sent again. */
  async failInterrupted(): Promise<void> {
    const reason = 'Rivetr stopped before it was decided; let the git host send it again'
    await this.#database.rows.nativeUpdate(Delivery, { outcome: 'received' }, { outcome: 'failed', reason })
  }

  /** Newest first. */
  async list(app: string, query: Partial<PageQuery> = {}): Promise<Page<DeliveryView>> {
    const { cursor, limit } = pageQuery.parse(query)
    const where = cursor === undefined ? { app } : { app, id: { $lt: cursor } }
    const found = await this.#database.rows.find(Delivery, where, {
      orderBy: { id: 'desc' },
      limit: limit + 1,
    })
    const items = found.slice(0, limit).map(viewOf)
    const last = found.length > limit ? items.at(-1) : undefined
    return { items, ...(last === undefined ? {} : { nextCursor: last.id }) }
  }

  async forget(app: string): Promise<void> {
    await this.#database.rows.nativeDelete(Delivery, { app })
  }

  /**
   * The delivery that just brought the same commit: two webhooks of one repository, or a host that sends twice under
   * two ids. Only the app's last one counts, so that a forced push may go back to a commit at any time.
   */
  async #twin(
    rows: Rows,
    app: string,
    commit: string,
  ): Promise<{ commit: string; receivedAt: string; delivery: string } | undefined> {
    const where = { app, outcome: { $in: ['received', 'queued'] as Outcome[] } }
    const [last] = await rows.find(Delivery, where, { orderBy: { receivedAt: 'desc', id: 'desc' }, limit: 1 })
    if (last === undefined || last.commit !== commit) return undefined
    const recent = Date.parse(last.receivedAt) > this.#clock.now() - this.#settings.sameCommitMs
    return recent ? { commit, receivedAt: last.receivedAt, delivery: last.delivery } : undefined
  }

  async #trim(rows: Rows, app: string): Promise<void> {
    const [tooOld] = await rows.find(
      Delivery,
      { app },
      { orderBy: { id: 'desc' }, offset: this.#settings.kept, limit: 1 },
    )
    if (tooOld !== undefined) await rows.nativeDelete(Delivery, { app, id: { $lte: tooOld.id } })
  }

  #now(): string {
    return new Date(this.#clock.now()).toISOString()
  }
}

type Row = { [K in keyof DeliveryView]: DeliveryView[K] | null }

function viewOf(row: Row & { app: string }): DeliveryView {
  const { app: _, ...fields } = { ...row }
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== null && value !== undefined),
  ) as DeliveryView
}

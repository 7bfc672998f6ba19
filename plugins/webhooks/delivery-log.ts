import { randomUUIDv7 } from 'node:crypto'
import { type Clock, type Database, type Page, type PageQuery, pageQuery, type Rows } from '@rivetr/sdk'
import { type DeliveryView, viewOf } from './delivery-view.ts'
import { Delivery, type EventKind, type Outcome } from './entities.ts'

/** What a delivery came to. */
export interface Verdict {
  readonly outcome: Outcome
  readonly reason?: string | undefined
  readonly deployment?: string | undefined
  readonly filtered?: boolean | undefined
}

/** Of what a delivery told. */
export interface Told {
  readonly event: EventKind
  readonly repository?: string | undefined
  readonly ref?: string | undefined
  readonly commit?: string | undefined
  readonly title?: string | undefined
  readonly pusher?: string | undefined
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
   * Returns the row to settle, or why there is nothing to do. `deploys`: its commit is to be deployed.
   */
  claim(
    app: string,
    provider: string,
    delivery: string,
    told?: Told,
    deploys = false,
  ): Promise<{ id: string } | { repeat: string }> {
    const now = new Date(this.#clock.now()).toISOString()
    return this.#database.transaction(async (rows) => {
      const same = await rows.findOne(Delivery, { app, provider, delivery })
      const again = same ? { repeats: same.repeats + 1, lastRepeatAt: now } : {}
      if (same && !repeatable.includes(same.outcome)) {
        await rows.nativeUpdate(Delivery, { id: same.id }, again)
        return { repeat: `this delivery came at ${same.receivedAt} already: ${same.outcome}` }
      }
      const id = same?.id ?? randomUUIDv7()
      const twin = deploys ? await this.#twin(rows, app, told?.commit) : undefined
      const verdict: Verdict =
        twin === undefined ? { outcome: 'received' } : { outcome: 'repeated', reason: twin }
      const row = { ...columnsOf(told), ...settled(verdict), receivedAt: now, ...again }
      if (same) await rows.nativeUpdate(Delivery, { id }, row)
      else await rows.insert(Delivery, { id, app, provider, delivery, ...row })
      await this.#trim(rows, app)
      return twin === undefined ? { id } : { repeat: twin }
    })
  }

  async settle(id: string, verdict: Verdict): Promise<void> {
    await this.#database.rows.nativeUpdate(Delivery, { id }, settled(verdict))
  }

  /** What was not decided when Rivetr stopped never will be: it may be sent again. */
  async failInterrupted(): Promise<void> {
    const reason = 'Rivetr stopped before it was decided; let the git host send it again'
    await this.#database.rows.nativeUpdate(Delivery, { outcome: 'received' }, { outcome: 'failed', reason })
  }

  /** Why the last push of this commit was kept out, if it was: by a mark, or by what the app watches. */
  async whyKeptOut(app: string, commit: string): Promise<string | undefined> {
    const [last] = await this.#database.rows.find(
      Delivery,
      { app, commit, event: 'push' },
      { orderBy: { id: 'desc' }, limit: 1 },
    )
    return last?.filtered === true ? (last.reason ?? 'it was kept out before') : undefined
  }

  /** Of one app or of all, newest first. */
  async list(app: string | undefined, query: Partial<PageQuery> = {}): Promise<Page<DeliveryView>> {
    const { cursor, limit } = pageQuery.parse(query)
    const where = {
      ...(app === undefined ? {} : { app }),
      ...(cursor === undefined ? {} : { id: { $lt: cursor } }),
    }
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
  async #twin(rows: Rows, app: string, commit: string | undefined): Promise<string | undefined> {
    const where = { app, outcome: { $in: ['received', 'queued'] as Outcome[] } }
    const [last] = await rows.find(Delivery, where, { orderBy: { receivedAt: 'desc', id: 'desc' }, limit: 1 })
    if (last === undefined || last.commit !== commit) return undefined
    const recent = Date.parse(last.receivedAt) > this.#clock.now() - this.#settings.sameCommitMs
    return recent
      ? `commit ${commit} was taken at ${last.receivedAt} from delivery ${last.delivery} already`
      : undefined
  }

  async #trim(rows: Rows, app: string): Promise<void> {
    const [tooOld] = await rows.find(
      Delivery,
      { app },
      { orderBy: { id: 'desc' }, offset: this.#settings.kept, limit: 1 },
    )
    if (tooOld !== undefined) await rows.nativeDelete(Delivery, { app, id: { $lte: tooOld.id } })
  }
}

function columnsOf({ event, repository, ref, commit, title, pusher }: Partial<Told> = {}) {
  return {
    event: event ?? null,
    repository: repository ?? null,
    ref: ref ?? null,
    commit: commit ?? null,
    title: title ?? null,
    pusher: pusher ?? null,
  }
}

function settled({ outcome, reason, deployment, filtered = false }: Verdict) {
  return { outcome, reason: reason ?? null, deployment: deployment ?? null, filtered }
}

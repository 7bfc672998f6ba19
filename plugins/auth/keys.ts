import { randomUUID } from 'node:crypto'
import { type Clock, type Contributions, type Database, type Principal, RivetrError, z } from '@rivetr/sdk'
import { hashOf, newBearer } from './bearer.ts'
import { Key } from './entities.ts'
import { assertCovered, assertKnown, scope } from './scopes.ts'

const prefix = 'rvt_'
const shownCharacters = 8

export const keyDraft = z.strictObject({
  name: z.string().min(1).max(100),
  scopes: z.array(scope).min(1).max(50),
  expiresAt: z.iso.datetime({ offset: true }).optional(),
})

export const keyView = z.object({
  id: z.string(),
  name: z.string(),
  /** Its first characters. */
  prefix: z.string(),
  scopes: z.array(z.string()),
  createdBy: z.string(),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().optional(),
})
type KeyView = z.output<typeof keyView>

/** API keys: what scripts and remote command lines sign in with. */
export class Keys {
  readonly #database: Database
  readonly #clock: Clock
  readonly #contributions: Contributions

  constructor(database: Database, clock: Clock, contributions: Contributions) {
    this.#database = database
    this.#clock = clock
    this.#contributions = contributions
  }

  async list(): Promise<KeyView[]> {
    const rows = await this.#database.rows.find(Key, {}, { orderBy: { createdAt: 'asc', id: 'asc' } })
    return rows.map(viewOf)
  }

  /** The key itself is in this answer and nowhere else. Errors: `invalid_input`, `forbidden`. */
  async create(maker: Principal, draft: z.output<typeof keyDraft>): Promise<KeyView & { key: string }> {
    assertKnown(draft.scopes, this.#contributions.routes)
    assertCovered(draft.scopes, maker.scopes)
    const expiresAt = draft.expiresAt === undefined ? undefined : new Date(draft.expiresAt).toISOString()
    if (expiresAt !== undefined && expiresAt <= this.#now()) {
      throw new RivetrError('invalid_input', `the key would have expired already, at ${expiresAt}`)
    }
    await this.#assertNoLongerThan(maker, expiresAt)
    const key = newBearer(prefix)
    const row = {
      id: randomUUID(),
      name: draft.name,
      tokenHash: hashOf(key),
      prefix: key.slice(0, shownCharacters),
      scopes: draft.scopes,
      createdBy: maker.name,
      createdAt: this.#now(),
      expiresAt: expiresAt ?? null,
    }
    await this.#database.rows.insert(Key, row)
    return { ...viewOf(row), key }
  }

  /** Errors: `not_found`. */
  async remove(id: string): Promise<void> {
    const removed = await this.#database.rows.nativeDelete(Key, { id })
    if (removed === 0) throw new RivetrError('not_found', `no API key ${id}; "rivetr keys list" shows all`)
  }

  async principalOf(bearer: string): Promise<Principal | undefined> {
    if (!bearer.startsWith(prefix)) return undefined
    const key = await this.#database.rows.findOne(Key, { tokenHash: hashOf(bearer) })
    if (key === null || (key.expiresAt && key.expiresAt <= this.#now())) return undefined
    return { kind: 'key', id: key.id, name: key.name, scopes: key.scopes }
  }

  /** A key that ends could else make itself a successor that does not. */
  async #assertNoLongerThan(maker: Principal, expiresAt: string | undefined): Promise<void> {
    if (maker.kind !== 'key') return
    const own = await this.#database.rows.findOne(Key, { id: maker.id })
    if (!own?.expiresAt || (expiresAt !== undefined && expiresAt <= own.expiresAt)) return
    throw new RivetrError(
      'forbidden',
      `a key cannot outlive the key that makes it, which ends at ${own.expiresAt}`,
    )
  }

  #now(): string {
    return new Date(this.#clock.now()).toISOString()
  }
}

function viewOf(row: Omit<KeyView, 'expiresAt'> & { expiresAt?: string | null | undefined }): KeyView {
  const { id, name, prefix, scopes, createdBy, createdAt, expiresAt } = row
  return { id, name, prefix, scopes, createdBy, createdAt, ...(expiresAt ? { expiresAt } : {}) }
}

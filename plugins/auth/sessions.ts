import type { Clock, Database, Principal } from '@rivetr/sdk'
import { hashOf, newBearer } from './bearer.ts'
import { Session } from './entities.ts'
import type { Account, Users } from './users.ts'

export const sessionCookie = 'rivetr_session'
export const sessionMs = 7 * 24 * 60 * 60_000

/** Who is signed in by a cookie. */
export class Sessions {
  readonly #database: Database
  readonly #clock: Clock
  readonly #users: Users

  constructor(database: Database, clock: Clock, users: Users) {
    this.#database = database
    this.#clock = clock
    this.#users = users
  }

  /** Returns what the cookie holds; it is stored nowhere. */
  async begin(account: Account): Promise<string> {
    const bearer = newBearer()
    await this.#database.rows.insert(Session, {
      tokenHash: hashOf(bearer),
      userId: account.id,
      createdAt: this.#at(0),
      expiresAt: this.#at(sessionMs),
    })
    return bearer
  }

  async principalOf(bearer: string): Promise<Principal | undefined> {
    const session = await this.#database.rows.findOne(Session, { tokenHash: hashOf(bearer) })
    if (session === null || session.expiresAt <= this.#at(0)) return undefined
    const user = await this.#users.find(session.userId)
    return user && { kind: 'user', id: user.id, name: user.email, scopes: user.scopes }
  }

  async end(bearer: string): Promise<void> {
    await this.#database.rows.nativeDelete(Session, { tokenHash: hashOf(bearer) })
  }

  async removeExpired(): Promise<void> {
    await this.#database.rows.nativeDelete(Session, { expiresAt: { $lte: this.#at(0) } })
  }

  #at(laterMs: number): string {
    return new Date(this.#clock.now() + laterMs).toISOString()
  }
}

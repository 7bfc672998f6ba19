import { randomUUID } from 'node:crypto'
import { type Clock, type Database, RivetrError, z } from '@rivetr/sdk'
import type { AttemptLimit } from './attempt-limit.ts'
import { User } from './entities.ts'
import { hashPassword, passwordMatches } from './password.ts'

const attemptsPerAccount = 10
/** From all addresses together: whoever guesses has many of them. */
const attemptsPerAccountAnywhere = 100
/** Many accounts from one address: the work of hashing itself is worth protecting. */
const attemptsPerAddress = 50

export const credentials = z.strictObject({
  email: z
    .email()
    .max(254)
    .transform((email) => email.toLowerCase()),
  password: z.string().min(1).max(1024),
})
/** Long beats complicated (NIST SP 800-63B, 3.1.1.2). */
export const newCredentials = credentials.extend({
  password: z.string().min(12, 'at least 12 characters').max(1024),
})
export type Credentials = z.output<typeof credentials>

export interface Account {
  readonly id: string
  readonly email: string
  readonly scopes: readonly string[]
}

/** The people who may sign in. */
export class Users {
  readonly #database: Database
  readonly #clock: Clock
  readonly #limit: AttemptLimit
  /** Of nobody's password: an unknown address costs as much time as a wrong password. */
  #nobody: Promise<string> | undefined

  constructor(database: Database, clock: Clock, limit: AttemptLimit) {
    this.#database = database
    this.#clock = clock
    this.#limit = limit
  }

  async exist(): Promise<boolean> {
    return (await this.#database.rows.count(User)) > 0
  }

  async find(id: string): Promise<Account | undefined> {
    return (await this.#database.rows.findOne(User, { id })) ?? undefined
  }

  /** Makes the first user, who may do everything. Errors: `conflict` when there is one. */
  async createOwner({ email, password }: Credentials): Promise<Account> {
    const owner = { id: randomUUID(), email, scopes: ['*'] }
    const passwordHash = await hashPassword(password)
    await this.#database.transaction(async (rows) => {
      if ((await rows.count(User)) > 0)
        throw new RivetrError('conflict', 'Rivetr is set up already; sign in instead')
      await rows.insert(User, {
        ...owner,
        passwordHash,
        createdAt: new Date(this.#clock.now()).toISOString(),
      })
    })
    return owner
  }

  /** Errors: `unauthenticated`, the same for unknown addresses and wrong passwords; `too_many_requests`. */
  async verify({ email, password }: Credentials, ip: string): Promise<Account> {
    const account = `${ip} ${email}`
    this.#limit.count(ip, attemptsPerAddress)
    this.#limit.count(account, attemptsPerAccount)
    this.#limit.count(email, attemptsPerAccountAnywhere)
    const user = await this.#database.rows.findOne(User, { email })
    this.#nobody ??= hashPassword('')
    const matches = await passwordMatches(password, user?.passwordHash ?? (await this.#nobody))
    if (user === null || !matches)
      throw new RivetrError('unauthenticated', 'the e-mail address or the password is wrong')
    for (const name of [account, email]) this.#limit.forget(name)
    return user
  }
}

import { type Clock, type Database, RivetrError, type Secrets } from '@rivetr/sdk'
import { RegistryLogin } from './entities.ts'

/** What opens a registry. */
export interface Credentials {
  readonly username: string
  readonly password: string
}

/** A registry as the API shows it. */
export interface RegistryView {
  readonly registry: string
  readonly username: string
  readonly createdAt: string
}

const scope = 'image/registries'

/** The registries that want to know who asks. Passwords never come back. */
export class Registries {
  readonly #database: Database
  readonly #secrets: Secrets
  readonly #clock: Clock

  constructor(database: Database, secrets: Secrets, clock: Clock) {
    this.#database = database
    this.#secrets = secrets
    this.#clock = clock
  }

  async list(): Promise<RegistryView[]> {
    const rows = await this.#database.rows.find(RegistryLogin, {}, { orderBy: { registry: 'asc' } })
    return rows.map(({ registry, username, createdAt }) => ({ registry, username, createdAt }))
  }

  /** Replaces what was there. The secret goes first: a row without it would open nothing. */
  async put(registry: string, { username, password }: Credentials): Promise<RegistryView> {
    await this.#secrets.put(scope, registry, password)
    const row = { registry, username, createdAt: new Date(this.#clock.now()).toISOString() }
    await this.#database.transaction(async (rows) => void (await rows.upsert(RegistryLogin, row)))
    return row
  }

  async remove(registry: string): Promise<void> {
    const removed = await this.#database.transaction((rows) => rows.nativeDelete(RegistryLogin, { registry }))
    if (removed === 0) throw new RivetrError('not_found', `there are no credentials for ${registry}`)
    await this.#secrets.remove(scope, registry)
  }

  /** Those of exactly this registry; undefined: it is asked as anybody. */
  async find(registry: string): Promise<Credentials | undefined> {
    const row = await this.#database.rows.findOne(RegistryLogin, { registry })
    const password = row === null ? undefined : await this.#secrets.find(scope, registry)
    return row === null || password === undefined ? undefined : { username: row.username, password }
  }
}

import {
  type App,
  type Apps,
  type Clock,
  type Database,
  everyPage,
  RivetrError,
  type Secrets,
  systemPrincipal,
} from '@rivetr/sdk'
import { DeployKey } from './entities.ts'
import { sourceFault } from './fault.ts'
import type { KeyPair } from './ssh-keys.ts'

/** A deploy key as the API shows it. */
export interface DeployKeyView {
  readonly name: string
  readonly publicKey: string
  readonly fingerprint: string
  readonly createdAt: string
}

const scope = 'git/deploy-keys'

/** Keys that read private repositories over ssh. The private half is a secret and never comes back. */
export class DeployKeys {
  readonly #apps: Apps
  readonly #database: Database
  readonly #secrets: Secrets
  readonly #clock: Clock

  constructor(apps: Apps, database: Database, secrets: Secrets, clock: Clock) {
    this.#apps = apps
    this.#database = database
    this.#secrets = secrets
    this.#clock = clock
  }

  async list(): Promise<DeployKeyView[]> {
    const rows = await this.#database.rows.find(DeployKey, {}, { orderBy: { name: 'asc' } })
    return rows.map(viewOf)
  }

  async has(name: string): Promise<boolean> {
    return (await this.#database.rows.count(DeployKey, { name })) > 0
  }

  async get(name: string): Promise<DeployKeyView> {
    const row = await this.#database.rows.findOne(DeployKey, { name })
    if (row === null) throw new RivetrError('not_found', `there is no deploy key "${name}"`)
    return viewOf(row)
  }

  /** The secret goes first: a row without it would be a key that opens nothing. */
  async add(name: string, { privateKey, publicKey, fingerprint }: KeyPair): Promise<DeployKeyView> {
    if (await this.has(name)) throw taken(name)
    await this.#secrets.put(scope, name, privateKey)
    const createdAt = new Date(this.#clock.now()).toISOString()
    await this.#database.transaction(async (rows) => {
      if ((await rows.count(DeployKey, { name })) > 0) throw taken(name)
      await rows.insert(DeployKey, { name, publicKey, fingerprint, createdAt })
    })
    return { name, publicKey, fingerprint, createdAt }
  }

  /** Errors: `not_found`, `conflict` while an app uses it, whoever may see that app. */
  async remove(name: string): Promise<void> {
    await this.get(name)
    const uses = ({ source }: App) => source.deployKey === name
    const apps = await everyPage((query) => this.#apps.list(systemPrincipal('git'), query), uses)
    const user = apps.find(uses)
    if (user !== undefined)
      throw new RivetrError(
        'conflict',
        `the app "${user.name}" reads its source with the deploy key "${name}"`,
      )
    await this.#database.transaction(async (rows) => void (await rows.nativeDelete(DeployKey, { name })))
    await this.#secrets.remove(scope, name)
  }

  /** The private half, for the relay; `source_failed` when the key is gone. */
  async privateKey(name: string): Promise<string> {
    const found = (await this.has(name)) ? await this.#secrets.find(scope, name) : undefined
    if (found === undefined)
      throw sourceFault('access', `there is no deploy key "${name}": make it, or choose another`)
    return found
  }
}

function taken(name: string): RivetrError {
  return new RivetrError('conflict', `there is a deploy key "${name}" already`)
}

function viewOf({ name, publicKey, fingerprint, createdAt }: DeployKeyView): DeployKeyView {
  return { name, publicKey, fingerprint, createdAt }
}

import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto'
import { type Clock, RivetrError, type Rows, type Secrets } from '@rivetr/sdk'
import type { Database } from './database.ts'
import { SecretRow } from './entities/index.ts'

const nonceBytes = 12
const tagBytes = 16

/** A version of a secret, opened. */
export interface SecretValue {
  readonly value: string
  readonly version: number
}

/** Versioned secrets, AES-256-GCM. Scope, name and version are authenticated: a row cannot stand in for another. */
export class SecretStore implements Secrets {
  readonly #database: Database
  readonly #key: Buffer
  readonly #clock: Clock

  constructor(database: Database, key: Buffer, clock: Clock) {
    this.#database = database
    this.#key = key
    this.#clock = clock
  }

  async put(scope: string, name: string, value: string): Promise<string> {
    return this.#database.transaction(async (rows) => `${name}@${await this.putIn(rows, scope, name, value)}`)
  }

  /** The same inside a transaction of the caller's; returns the version. */
  async putIn(rows: Rows, scope: string, name: string, value: string): Promise<number> {
    const version = ((await newest(rows, scope, name))?.version ?? 0) + 1
    const sealed = this.#seal(value, `${scope}/${name}@${version}`)
    await rows.insert(SecretRow, {
      id: randomUUID(),
      scope,
      name,
      version,
      sealed,
      createdAt: new Date(this.#clock.now()).toISOString(),
    })
    return version
  }

  async find(scope: string, name: string): Promise<string | undefined> {
    return (await this.findVersion(scope, name))?.value
  }

  /** That version; the newest that is not revoked where it is revoked or none is named. */
  async findVersion(scope: string, name: string, version?: number): Promise<SecretValue | undefined> {
    const exact =
      version === undefined
        ? null
        : await this.#database.rows.findOne(SecretRow, { scope, name, version, revokedAt: null })
    const row = exact ?? (await newest(this.#database.rows, scope, name, { revokedAt: null }))
    return row
      ? { value: this.#open(row.sealed, `${scope}/${name}@${row.version}`), version: row.version }
      : undefined
  }

  async names(scope: string, prefix: string): Promise<string[]> {
    const found = await this.#database.rows.find(SecretRow, { scope }, { fields: ['name'] })
    return [...new Set(found.map(({ name }) => name))].filter((name) => name.startsWith(prefix)).sort()
  }

  /** Every value that a scope has or had, revoked ones too: what nobody may read in a log. */
  async valuesOf(scope: string): Promise<string[]> {
    const found = await this.#database.rows.find(SecretRow, { scope })
    return found.flatMap(({ name, version, sealed }) => {
      try {
        return [this.#open(sealed, `${scope}/${name}@${version}`)]
      } catch {
        return [] // what cannot be opened has reached no replica either
      }
    })
  }

  /** Nothing gets the values before this version any more. Their rows stay: no version is ever given twice. */
  async revokeBefore(rows: Rows, scope: string, name: string, version: number): Promise<void> {
    const revokedAt = new Date(this.#clock.now()).toISOString()
    const earlier = { scope, name, version: { $lt: version }, revokedAt: null }
    await rows.nativeUpdate(SecretRow, earlier, { revokedAt })
  }

  async remove(scope: string, name?: string): Promise<void> {
    await this.#database.rows.nativeDelete(SecretRow, name === undefined ? { scope } : { scope, name })
  }

  #seal(value: string, identity: string): string {
    const nonce = randomBytes(nonceBytes)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(identity))
    const body = Buffer.concat([cipher.update(value, 'utf8'), cipher.final()])
    return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64')
  }

  #open(sealed: string, identity: string): string {
    const bytes = Buffer.from(sealed, 'base64')
    const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, nonceBytes))
      .setAAD(Buffer.from(identity))
      .setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes))
    try {
      return (
        decipher.update(bytes.subarray(nonceBytes + tagBytes), undefined, 'utf8') + decipher.final('utf8')
      )
    } catch (error) {
      throw new RivetrError(
        'data_unusable',
        `the secret ${identity} cannot be opened with this key file; bring back the key that sealed it`,
        { cause: error },
      )
    }
  }
}

async function newest(
  rows: Rows,
  scope: string,
  name: string,
  where: { revokedAt?: null } = {},
): Promise<{ version: number; sealed: string } | undefined> {
  const [row] = await rows.find(
    SecretRow,
    { scope, name, ...where },
    { orderBy: { version: 'desc' }, limit: 1 },
  )
  return row
}

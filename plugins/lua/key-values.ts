import { randomUUIDv7 } from 'node:crypto'
import { type Database, RivetrError } from '@rivetr/sdk'
import { ValueRow } from './entities.ts'
import type { Plain } from './plain.ts'

/** What one script may keep. */
const mostKeys = 100
const longestKey = 128
const longestValue = 8_192

/** Small values that scripts keep from run to run, each script for itself. */
export class KeyValues {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async get(owner: string, script: string, key: Plain): Promise<Plain> {
    const row = await this.#database.rows.findOne(ValueRow, { owner, script, key: keyOf(key) })
    return row === null ? undefined : JSON.parse(row.value)
  }

  /** Errors: `invalid_input` for a key or value that is too long, `conflict` when there are too many keys. */
  async set(owner: string, script: string, key: Plain, value: Plain): Promise<void> {
    if (value === undefined || value === null) return this.delete(owner, script, key)
    const name = keyOf(key)
    const text = JSON.stringify(value)
    if (text.length > longestValue) throw invalid(`the value of ${name} is longer than ${longestValue} bytes`)
    await this.#database.transaction(async (rows) => {
      const changed = await rows.nativeUpdate(ValueRow, { owner, script, key: name }, { value: text })
      if (changed > 0) return
      if ((await rows.count(ValueRow, { owner, script })) >= mostKeys)
        throw new RivetrError('conflict', `a script keeps ${mostKeys} keys at most; delete some`)
      await rows.insert(ValueRow, { id: randomUUIDv7(), owner, script, key: name, value: text })
    })
  }

  async delete(owner: string, script: string, key: Plain): Promise<void> {
    await this.#database.rows.nativeDelete(ValueRow, { owner, script, key: keyOf(key) })
  }

  /** Of a script that is no more, or of all of an owner. */
  async forget(owner: string, script?: string): Promise<void> {
    await this.#database.rows.nativeDelete(ValueRow, { owner, ...(script === undefined ? {} : { script }) })
  }
}

function keyOf(key: Plain): string {
  if (typeof key === 'string' && key !== '' && key.length <= longestKey) return key
  throw invalid(`a key is a text of 1 to ${longestKey} characters`)
}

function invalid(message: string): RivetrError {
  return new RivetrError('invalid_input', `rivetr.kv: ${message}`)
}

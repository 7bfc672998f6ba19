import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Database } from './database.ts'
import { FactRow } from './entities/index.ts'

/**
 * Who this instance is: made once, on every label and never shared by two data folders. It stands beside the database, too,
 * so that after the loss of that what still runs is known as ours, and can be reported.
 */
export async function ensureInstanceId(database: Database, folder: string): Promise<string> {
  const path = join(folder, 'instance')
  const written = (await readFile(path, 'utf8').catch(() => '')).trim()
  const id = await database.transaction(async (rows) => {
    const known = await rows.findOne(FactRow, { name: 'instance' })
    if (known) return known.value
    const value = /^[0-9a-f]{12}$/.test(written) ? written : randomBytes(6).toString('hex')
    await rows.insert(FactRow, { name: 'instance', value })
    return value
  })
  if (written !== id) await writeFile(path, `${id}\n`, { mode: 0o600 })
  return id
}

/**
 * Counts boots: edges refuse a table of an older one, so two kernels cannot fight. Above the one that edges have in
 * force, where this database was restored from a backup and counts lower.
 */
export async function nextEpoch(database: Database, inForce = 0): Promise<number> {
  return database.transaction(async (rows) => {
    const last = await rows.findOne(FactRow, { name: 'epoch' })
    const epoch = Math.max(Number(last?.value ?? 0), inForce) + 1
    await rows.upsert(FactRow, { name: 'epoch', value: String(epoch) })
    return epoch
  })
}

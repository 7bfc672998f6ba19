import { randomBytes } from 'node:crypto'
import type { Database } from './database.ts'
import { FactRow } from './entities/index.ts'

/** Who this instance is: made once, on every label and never shared by two data folders. */
export async function ensureInstanceId(database: Database): Promise<string> {
  return database.transaction(async (rows) => {
    const known = await rows.findOne(FactRow, { name: 'instance' })
    if (known) return known.value
    const value = randomBytes(6).toString('hex')
    await rows.insert(FactRow, { name: 'instance', value })
    return value
  })
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

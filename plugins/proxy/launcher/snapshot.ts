import { chownSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { log } from './log.ts'
import type { TableText } from './protocol.ts'

/** Whoever has no other uid to be: an edge that root started. */
export const unprivilegedId = 65_534

/** The name of the table's snapshot in an edge's folder. */
export const snapshotFile = 'table.json'

/** The folder in which edge number `slot` runs, owned by the uid that it drops to. */
export function edgeFolder(folder: string, slot: number): string {
  const path = join(folder, `edge-${slot}`)
  mkdirSync(path, { recursive: true, mode: 0o700 })
  if (process.getuid?.() === 0) chownSync(path, unprivilegedId, unprivilegedId)
  return path
}

/** The newest table that any edge wrote down: what a launcher serves until a kernel applies one. */
export function newestSnapshot(folder: string): TableText | undefined {
  const tables = edgeFolders(folder).flatMap((path) => readSnapshot(join(path, snapshotFile)) ?? [])
  tables.sort((a, b) => b.epoch - a.epoch || b.generation - a.generation)
  return tables[0]
}

function edgeFolders(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => /^edge-\d+$/.test(name))
    .map((name) => join(folder, name))
}

function readSnapshot(file: string): TableText | undefined {
  try {
    const { epoch, generation, table } = JSON.parse(readFileSync(file, 'utf8'))
    if (!Number.isSafeInteger(epoch) || !Number.isSafeInteger(generation))
      throw new TypeError('no epoch or generation')
    return { epoch, generation, text: JSON.stringify(table) }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log('a snapshot cannot be read; it is left out', { file, error: String(error) })
    return undefined
  }
}

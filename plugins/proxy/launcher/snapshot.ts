import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { certificatesFile, certificatesText } from './certificates-text.ts'
import { log } from './log.ts'
import type { CertificatesText, TableText, WholeTable } from './protocol.ts'

/** Whoever has no other uid to be: an edge that root started. */
export const unprivilegedId = 65_534

/** The name of the table's snapshot in an edge's folder. */
export const snapshotFile = 'table.json'

/** The folder in which edge number `slot` runs, owned by the uid that it drops to. */
export function edgeFolder(folder: string, slot: number): string {
  const path = join(folder, `edge-${slot}`)
  mkdirSync(path, { recursive: true, mode: 0o700 })
  if (process.getuid?.() === 0) chownSync(path, unprivilegedId, unprivilegedId)
  removeDrafts(path)
  return path
}

/** What edges were writing when they were killed. */
export function removeDrafts(folder: string): void {
  const names = existsSync(folder) ? readdirSync(folder) : [] // it may have been removed
  for (const name of names) {
    const pid = /\.json\.(\d+)$/.exec(name)?.[1]
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(folder, name), { force: true })
  }
}

/** The newest table that any edge wrote down: what a launcher serves until a kernel applies one. */
export function newestSnapshot(folder: string): WholeTable | undefined {
  const folders = edgeFolders(folder)
  const tables = folders.flatMap((path) => readTable(join(path, snapshotFile)) ?? [])
  tables.sort((a, b) => b.epoch - a.epoch || b.generation - a.generation)
  const [table] = tables
  if (table === undefined) return undefined
  const certificates = readCertificates(folders, table.certificates)
  if (certificates !== undefined) return { table, certificates }
  log('the certificates of the snapshot cannot be read; it is served without', {
    revision: table.certificates,
  })
  const none = certificatesText('{}')
  return { table: { ...table, certificates: none.revision }, certificates: none }
}

function edgeFolders(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => /^edge-\d+$/.test(name))
    .map((name) => join(folder, name))
}

function readTable(file: string): TableText | undefined {
  const text = readText(file)
  if (text === undefined) return undefined
  try {
    const { epoch, generation, certificates, table } = JSON.parse(text)
    if (!Number.isSafeInteger(epoch) || !Number.isSafeInteger(generation) || typeof certificates !== 'string')
      throw new TypeError('no epoch, generation or certificates')
    return { epoch, generation, certificates, text: JSON.stringify(table) }
  } catch (error) {
    log('a snapshot cannot be read; it is left out', { file, error: String(error) })
    return undefined
  }
}

/** What their revision says they are, from whichever folder has them whole. */
function readCertificates(folders: readonly string[], revision: string): CertificatesText | undefined {
  for (const path of folders) {
    const text = readText(join(path, certificatesFile(revision)))
    if (text === undefined) continue
    const found = certificatesText(text)
    if (found.revision === revision) return found
    log('certificates are not whole; they are left out', { folder: path, revision })
  }
  return undefined
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log('a snapshot cannot be read; it is left out', { file, error: String(error) })
    return undefined
  }
}

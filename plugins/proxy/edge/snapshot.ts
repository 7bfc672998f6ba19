import { open, readdir, rename, rm, stat } from 'node:fs/promises'
import { certificatesFile, isCertificatesFile } from '../launcher/certificates-text.ts'
import { log } from '../launcher/log.ts'
import type { CertificatesContent, TableText } from '../launcher/protocol.ts'
import { snapshotFile } from '../launcher/snapshot.ts'

/**
 * Writes the table down, for a launcher that starts while no kernel runs: its certificates first, in a file that has
 * their revision in its name, so that at any moment a table finds its own. Paths are relative on purpose: the folder
 * around the edge's own is closed to its uid. Where it cannot be written the old one goes too: with no table an edge
 * answers 503, with an outdated one it could lead to an endpoint that is another app's by now.
 */
export async function saveSnapshot(table: TableText, certificates: CertificatesContent): Promise<void> {
  const { epoch, generation, certificates: revision, text } = table
  const own = certificatesFile(revision)
  try {
    if (!(await isThere(own))) await write(own, JSON.stringify(certificates))
    const head = `"epoch":${epoch},"generation":${generation},"certificates":"${revision}"`
    await write(snapshotFile, `{${head},"table":${text}}\n`)
    await removeOlderThan(own)
  } catch (error) {
    log('the snapshot of the table cannot be written; the old one is removed', { error: String(error) })
    await rm(snapshotFile, { force: true }).catch((cause: unknown) =>
      log('nor removed', { error: String(cause) }),
    )
  }
}

async function isThere(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  )
}

async function write(name: string, text: string): Promise<void> {
  // For a moment two edges share the folder, when one replaces the other.
  const draft = `${name}.${process.pid}`
  const file = await open(draft, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, name)
  await syncFolder()
}

/** A rename is on the disk only when its folder is. */
async function syncFolder(): Promise<void> {
  const folder = await open('.', 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** One besides the own stays: the other edge in the folder may be a table further, or one behind. */
async function removeOlderThan(own: string): Promise<void> {
  const others = (await readdir('.')).filter((name) => isCertificatesFile(name) && name !== own)
  if (others.length < 2) return
  const found = await Promise.all(
    others.map(async (name) => ({ name, at: (await stat(name).catch(() => undefined))?.mtimeMs ?? 0 })),
  )
  found.sort((a, b) => b.at - a.at)
  for (const { name } of found.slice(1)) await rm(name, { force: true })
}

import { open, rename, rm } from 'node:fs/promises'
import { log } from '../launcher/log.ts'
import type { TableText } from '../launcher/protocol.ts'
import { snapshotFile } from '../launcher/snapshot.ts'

/**
 * Writes the table down, for a launcher that starts while no kernel runs. The path is relative on purpose: the folder
 * around the edge's own is closed to its uid. Where it cannot be written the old one goes too: with no table an edge
 * answers 503, with an outdated one it could lead to an endpoint that is another app's by now.
 */
export async function saveSnapshot({ epoch, generation, text }: TableText): Promise<void> {
  // For a moment two edges share the folder, when one replaces the other.
  const draft = `${snapshotFile}.${process.pid}`
  try {
    const file = await open(draft, 'w', 0o600)
    try {
      await file.writeFile(`{"epoch":${epoch},"generation":${generation},"table":${text}}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(draft, snapshotFile)
    await syncFolder()
  } catch (error) {
    log('the snapshot of the table cannot be written; the old one is removed', { error: String(error) })
    await rm(snapshotFile, { force: true }).catch((cause: unknown) =>
      log('nor removed', { error: String(cause) }),
    )
  }
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

import type { Stats } from 'node:fs'
import { chmod, lchown, lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { RivetrError } from '@rivetr/sdk'

/**
 * Makes a release immutable: it belongs to root, the app's group may read it, nobody may write it, and no file of it
 * raises whoever runs it. What was sealed before is left alone.
 *
 * The app's own processes may still be at work in the folder, and this runs as root: it goes from the top down, and a
 * folder is closed before anything in it is looked at. So nothing below can be exchanged for a link to a file of root
 * between the look and the change.
 */
export async function sealRelease(folder: string, uid: number): Promise<void> {
  const { uid: owner, gid, mode } = await lstat(folder)
  if (owner === 0 && gid === uid && (mode & 0o7777) === 0o750) return
  // The folder itself is given to the group last: an interrupted seal is done again.
  await lchown(folder, 0, 0)
  await chmod(folder, 0o700)
  await forEntries(folder, uid, (path, entry) => sealEntry(path, entry, uid))
  await lchown(folder, 0, uid)
  await chmod(folder, 0o750)
}

/**
 * Gives a folder to the app for its build. From the bottom up: as long as anything below is still to be changed, the
 * folders on the way belong to root.
 */
export async function openRelease(folder: string, uid: number): Promise<void> {
  const entry = await lstat(folder)
  if (entry.uid !== uid) await openEntry(folder, entry, uid)
}

async function sealEntry(path: string, entry: Stats, uid: number): Promise<void> {
  await lchown(path, 0, uid)
  if (entry.isDirectory()) {
    await chmod(path, 0o750)
    await forEntries(path, uid, (inner, innerEntry) => sealEntry(inner, innerEntry, uid))
  } else if (entry.isFile()) {
    await chmod(path, (entry.mode & 0o111) === 0 ? 0o640 : 0o750)
  }
}

async function openEntry(path: string, entry: Stats, uid: number): Promise<void> {
  if (entry.isDirectory())
    await forEntries(path, uid, (inner, innerEntry) => openEntry(inner, innerEntry, uid))
  await lchown(path, uid, uid)
}

async function forEntries(
  folder: string,
  uid: number,
  visit: (path: string, entry: Stats) => Promise<void>,
): Promise<void> {
  const names = await readdir(folder)
  await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name)
      const entry = await lstat(path)
      refuseForeignLink(path, entry, uid)
      await visit(path, entry)
    }),
  )
}

/** A second name of a file that is not the app's: changing its owner would hand that file over. */
function refuseForeignLink(path: string, entry: Stats, uid: number): void {
  if (!entry.isFile() || entry.nlink === 1 || entry.uid === uid) return
  throw new RivetrError('replica_failed', `${path} is a hard link to a file that is not the app's; remove it`)
}

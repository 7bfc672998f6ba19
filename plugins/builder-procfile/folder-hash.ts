import { createHash, type Hash } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, open, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * SHA-256 over a folder: for every entry, in the order of their names, its path and kind, and what is in it or where
 * it leads. Of the mode only whether it may be executed counts: a runtime changes the rest.
 */
export async function hashFolder(folder: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  await addFolder(hash, folder, '', signal)
  return hash.digest('hex')
}

async function addFolder(hash: Hash, root: string, way: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  for (const name of (await readdir(join(root, way))).sort()) {
    const inner = join(way, name)
    const path = join(root, inner)
    const entry = await lstat(path)
    if (entry.isDirectory()) {
      addEntry(hash, 'folder', inner, '')
      await addFolder(hash, root, inner, signal)
    } else if (entry.isSymbolicLink()) addEntry(hash, 'link', inner, await readlink(path))
    else if (entry.isFile()) await addFile(hash, path, inner, (entry.mode & 0o111) === 0 ? 'file' : 'program')
    else addEntry(hash, 'other', inner, '')
  }
}

async function addFile(hash: Hash, path: string, way: string, kind: string): Promise<void> {
  // The build may have left something running that exchanges files: neither follow a link nor wait for a pipe.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const contents = createHash('sha256')
    for await (const chunk of file.createReadStream({ autoClose: false })) contents.update(chunk)
    addEntry(hash, kind, way, contents.digest('hex'))
  } finally {
    await file.close()
  }
}

/** As JSON, so that no two different folders can give the same bytes. */
function addEntry(hash: Hash, kind: string, way: string, rest: string): void {
  hash.update(JSON.stringify([kind, way, rest]))
}

import { constants } from 'node:fs'
import { type FileHandle, lstat, open, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Pack, pack } from 'tar-stream'
import { type IgnoreRules, ignoreRules } from './ignore-file.ts'

type EntryHeader = Parameters<Pack['entry']>[0]

/**
 * A folder as a tar stream, for the engine to build. What `.dockerignore` names is left out, never the Dockerfile.
 * Links stay links and are never followed: nothing outside the folder is read. The order is that of the names.
 */
export async function buildContext(folder: string, dockerfile: string): Promise<Readable> {
  const rules = await ignoreRules(folder, dockerfile)
  const archive = pack()
  void fill(archive, folder, rules, dockerfile).then(
    () => archive.finalize(),
    (error: Error) => archive.destroy(error),
  )
  return Readable.from(archive, { objectMode: false })
}

async function fill(archive: Pack, root: string, rules: IgnoreRules, dockerfile: string): Promise<void> {
  const always = new Set([dockerfile, '.dockerignore', `${dockerfile}.dockerignore`])
  for await (const path of paths(root, '', rules, always)) {
    if (archive.destroyed) return
    await add(archive, root, path)
  }
}

async function* paths(
  root: string,
  folder: string,
  rules: IgnoreRules,
  always: Set<string>,
): AsyncGenerator<string> {
  const entries = await readdir(join(root, folder), { withFileTypes: true })
  entries.sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const entry of entries) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    const leftOut = rules.leavesOut(path) && !always.has(path)
    if (!leftOut) yield path
    const holdsDockerfile = [...always].some((one) => one.startsWith(`${path}/`))
    if (entry.isDirectory() && (!leftOut || rules.maySpareWithin(path) || holdsDockerfile))
      yield* paths(root, path, rules, always)
  }
}

async function add(archive: Pack, root: string, path: string): Promise<void> {
  const absolute = join(root, path)
  const found = await lstat(absolute)
  // The owner is root, as Docker's own client has it: the uid of whoever fetched the source means nothing in an image.
  const header: EntryHeader = { name: path, mode: found.mode & 0o7777, mtime: found.mtime, uid: 0, gid: 0 }
  if (found.isDirectory()) await addEntry(archive, { ...header, type: 'directory' })
  else if (found.isSymbolicLink())
    await addEntry(archive, { ...header, type: 'symlink', linkname: await readlink(absolute) })
  else if (found.isFile()) await addFile(archive, header, absolute)
  // Sockets, pipes and devices have no place in an image.
}

async function addFile(archive: Pack, header: EntryHeader, absolute: string): Promise<void> {
  const file = await openUnfollowed(absolute)
  try {
    const { size } = await file.stat()
    if (size === 0) return await addEntry(archive, { ...header, size })
    const entry = archive.entry({ ...header, size })
    // Exactly so many bytes were announced, even if the file is growing.
    await pipeline(file.createReadStream({ end: size - 1, autoClose: false }), entry)
  } finally {
    await file.close()
  }
}

/** A link that took the file's place since it was looked at is an error, not a way out of the folder. */
function openUnfollowed(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
}

/** An entry without content: a folder, a link, an empty file. */
function addEntry(archive: Pack, header: EntryHeader): Promise<void> {
  return new Promise((resolve, reject) => {
    archive.entry(header, '', (error) => (error ? reject(error) : resolve()))
  })
}

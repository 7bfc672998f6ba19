import { execFile } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { createGzip } from 'node:zlib'
import { type Pack, pack } from 'tar-stream'
import { UsageError } from './output.ts'

/** Never part of an app's source. */
const leftOut = new Set(['.git', 'node_modules'])

/** An archive of what is to be deployed: a folder as tar.gz, a file as it is. */
export async function archiveOf(path: string): Promise<ReadableStream<Uint8Array>> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) throw new UsageError(`--from ${path}: there is no such folder or file`)
  const readable = found.isFile() ? createReadStream(path) : packed(path, await filesOf(path))
  return Readable.toWeb(readable) as ReadableStream<Uint8Array>
}

/** What git would commit, where the folder is a working copy; else all but `.git` and `node_modules`. */
async function filesOf(folder: string): Promise<string[]> {
  return (await filesOfGit(folder)) ?? (await filesBelow(folder, ''))
}

async function filesOfGit(folder: string): Promise<string[] | undefined> {
  try {
    const args = ['-C', folder, 'ls-files', '-z', '--cached', '--others', '--exclude-standard']
    const { stdout } = await promisify(execFile)('git', args, { maxBuffer: 256 * 1024 * 1024 })
    return [...new Set(stdout.split('\0'))].filter((path) => path !== '').sort()
  } catch {
    return undefined // no git, or no working copy
  }
}

async function filesBelow(root: string, folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true })
  const paths: string[] = []
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (leftOut.has(entry.name)) continue
    if (entry.isDirectory()) paths.push(...(await filesBelow(root, path)))
    else paths.push(path)
  }
  return paths
}

function packed(root: string, paths: readonly string[]): Readable {
  const archive = pack()
  const compressed = createGzip()
  void pipeline(archive, compressed).catch((error: Error) => compressed.destroy(error))
  void fill(archive, root, paths).then(
    () => archive.finalize(),
    (error: Error) => archive.destroy(error),
  )
  return compressed
}

/** Times are left out, so that the same files are the same archive. */
async function fill(archive: Pack, root: string, paths: readonly string[]): Promise<void> {
  for (const name of paths) {
    if (archive.destroyed) return
    const file = join(root, name)
    const found = await lstat(file).catch(() => undefined)
    if (found === undefined) continue // git still names it; it was deleted
    const mtime = new Date(0)
    if (found.isSymbolicLink())
      archive.entry({ name, type: 'symlink', linkname: await readlink(file), mtime })
    else if (found.isFile()) {
      const mode = (found.mode & 0o100) === 0 ? 0o644 : 0o755
      await pipeline(createReadStream(file), archive.entry({ name, size: found.size, mode, mtime }))
    }
  }
}

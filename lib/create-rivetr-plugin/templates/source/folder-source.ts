import { createHash } from 'node:crypto'
import { cp, lstat, readdir, readFile, readlink, realpath } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type Branch,
  type Commit,
  type FetchRequest,
  RivetrError,
  type Source,
  type SourceSettings,
} from '@rivetr/sdk'

/** The commit of a folder is a hash of what is in it: the same content is the same commit. */
export class FolderSource implements Source {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  async resolve(source: SourceSettings, _ref: string, signal: AbortSignal): Promise<Commit> {
    return { id: await hashOf(await this.#folder(source), signal), message: 'a folder' }
  }

  async branches(source: SourceSettings, signal: AbortSignal): Promise<Branch[]> {
    return [{ name: source.branch, commit: (await this.resolve(source, source.branch, signal)).id }]
  }

  async check(source: SourceSettings): Promise<void> {
    await this.#folder(source)
  }

  async fetch({ source, commit, into, signal }: FetchRequest): Promise<Commit> {
    await cp(await this.#folder(source), into, { recursive: true, verbatimSymlinks: true })
    const id = await hashOf(into, signal)
    if (id !== commit) throw new RivetrError('source_failed', `${source.url} has changed; deploy it again`)
    return { id, message: 'a folder' }
  }

  /** Whatever the address says, it leads to a folder below the root. */
  async #folder({ url }: SourceSettings): Promise<string> {
    if (!url.startsWith('file:///'))
      throw new RivetrError('source_failed', `${JSON.stringify(url)} is no address such as file:///srv/shop`)
    const path = await realpath(fileURLToPath(url)).catch((cause: unknown) => {
      throw new RivetrError('source_failed', `there is no folder at ${url}`, { cause })
    })
    const root = await realpath(this.#root)
    if (!path.startsWith(root + sep) || !(await lstat(path)).isDirectory())
      throw new RivetrError('source_failed', `${url} is no folder below ${this.#root}`)
    return path
  }
}

async function hashOf(folder: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  for (const name of (await readdir(folder, { recursive: true })).sort()) {
    signal.throwIfAborted()
    const path = join(folder, name)
    const entry = await lstat(path)
    const content = entry.isFile() ? await readFile(path) : entry.isSymbolicLink() ? await readlink(path) : ''
    const kind = entry.isFile() ? 'file' : entry.isSymbolicLink() ? 'link' : 'other'
    const head = JSON.stringify([name, kind, (entry.mode & 0o100) !== 0, content.length])
    hash.update(head).update(content)
  }
  return hash.digest('hex')
}

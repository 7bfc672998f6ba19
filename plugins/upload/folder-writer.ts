import { createWriteStream } from 'node:fs'
import { copyFile, mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { badArchive } from './unpack.ts'

const mostEntries = 500_000

/**
 * Writes the entries of an archive that nobody trusts. Every folder on the way to an entry was made here, and every entry is
 * made new: so none goes through a link that another has laid, or over one that is there.
 */
export class FolderWriter {
  readonly #root: string
  readonly #limitBytes: number
  readonly #folders = new Set([''])
  readonly #written = new Set<string>()
  bytes = 0

  constructor(root: string, limitBytes: number) {
    this.#root = root
    this.#limitBytes = limitBytes
  }

  get files(): number {
    return this.#written.size
  }

  async folder(name: string): Promise<void> {
    await this.#makeFolders(partsOf(name))
  }

  async file(
    name: string,
    content: AsyncIterable<Uint8Array>,
    { executable, signal }: { executable: boolean; signal: AbortSignal },
  ): Promise<void> {
    const path = await this.#claim(name)
    const counted = this.#counted(content)
    await pipeline(
      counted,
      createWriteStream(join(this.#root, path), { flags: 'wx', mode: executable ? 0o755 : 0o644 }),
      {
        signal,
      },
    )
  }

  /** It stays a link, wherever it leads: who reads the folder does not follow links out of it. */
  async link(name: string, target: string): Promise<void> {
    await symlink(target, join(this.#root, await this.#claim(name)))
  }

  /** A second name of a file that came before. */
  async copy(name: string, of: string): Promise<void> {
    const from = partsOf(of).join('/')
    if (!this.#written.has(from))
      throw badArchive(`the archive names ${quote(name)} after ${quote(of)}, which is no file of it`)
    const path = await this.#claim(name)
    await copyFile(join(this.#root, from), join(this.#root, path))
  }

  async #claim(name: string): Promise<string> {
    const parts = partsOf(name)
    if (parts.length === 0) throw badArchive(`the archive has a file without a name: ${quote(name)}`)
    const path = parts.join('/')
    if (this.#written.has(path) || this.#folders.has(path))
      throw badArchive(`the archive has ${quote(name)} twice`)
    await this.#makeFolders(parts.slice(0, -1))
    this.#written.add(path)
    if (this.#written.size + this.#folders.size > mostEntries)
      throw badArchive(`the archive has more than ${mostEntries} entries`)
    return path
  }

  async #makeFolders(parts: readonly string[]): Promise<void> {
    for (let depth = 1; depth <= parts.length; depth += 1) {
      const path = parts.slice(0, depth).join('/')
      if (this.#folders.has(path)) continue
      if (this.#written.has(path))
        throw badArchive(`the archive has ${quote(path)} as a file and as a folder`)
      await mkdir(join(this.#root, path))
      this.#folders.add(path)
    }
  }

  async *#counted(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of content) {
      this.bytes += chunk.length
      if (this.bytes > this.#limitBytes)
        throw badArchive(
          `the files of the archive take more than ${this.#limitBytes} bytes ([upload] unpacked_limit_bytes)`,
        )
      yield chunk
    }
  }
}

/** The path inside the folder; `./` before it and slashes behind it are usual. */
function partsOf(name: string): string[] {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (name.startsWith('/') || name.includes('\\') || name.includes('\0') || parts.includes('..'))
    throw badArchive(`the archive has an entry that leads out of its folder: ${quote(name)}`)
  return parts
}

function quote(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name)
}

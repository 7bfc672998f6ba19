import { createHash, randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { RivetrError } from '@rivetr/sdk'

interface ArchivesOptions {
  readonly folder: string
  readonly limitBytes: number
  /** How many of a name. */
  readonly kept: number
}

/**
 * What was uploaded, by name: `upload:shop` is to archives what the address of a repository is to commits. An archive's id is
 * the SHA-256 of its bytes, so that the same bytes are the same commit.
 */
export class Archives {
  readonly #options: ArchivesOptions

  constructor(options: ArchivesOptions) {
    this.#options = options
  }

  /** Takes an archive in, whole or not at all; returns its id. Errors: `too_large`, `invalid_input` for none. */
  async put(name: string, bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<string> {
    const folder = this.#folderOf(name)
    await mkdir(folder, { recursive: true })
    const unfinished = join(folder, `${randomUUID()}${unfinishedEnding}`)
    const hash = createHash('sha256')
    let size = 0
    const { limitBytes } = this.#options
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const chunk of bytes) {
        size += chunk.length
        if (size > limitBytes)
          throw new RivetrError(
            'too_large',
            `the archive is larger than ${limitBytes} bytes ([upload] limit_bytes)`,
          )
        hash.update(chunk)
        yield chunk
      }
    }
    try {
      // Opened first: a stream that opens the file itself can still do so after it failed, and after it was removed.
      await pipeline(counted(), (await open(unfinished, 'wx')).createWriteStream({ flush: true }), { signal })
      if (size === 0) throw new RivetrError('invalid_input', 'an archive is to come in the body; it is empty')
      const id = hash.digest('hex')
      const [newest] = await this.#list(name)
      await rename(unfinished, join(folder, `${(newest?.number ?? 0) + 1}-${id}`))
      await this.#prune(name)
      return id
    } finally {
      await rm(unfinished, { force: true })
    }
  }

  /** The newest of a name. */
  async head(name: string): Promise<string | undefined> {
    return (await this.#list(name))[0]?.id
  }

  /** The file of an archive; undefined when it was not uploaded, or is not kept any more. */
  async find(name: string, id: string): Promise<string | undefined> {
    const found = (await this.#list(name)).find((each) => each.id === id)
    return found && join(this.#folderOf(name), found.file)
  }

  /** What a kill left half written. */
  async removeUnfinished(): Promise<void> {
    for (const path of await readdir(this.#options.folder, { recursive: true }))
      if (path.endsWith(unfinishedEnding)) await rm(join(this.#options.folder, path), { force: true })
  }

  /** Newest first: each file has its number before its id. */
  async #list(name: string): Promise<{ file: string; number: number; id: string }[]> {
    const files = await readdir(this.#folderOf(name)).catch(() => [])
    const archives = files.flatMap((file) => {
      const [, number, id] = /^(\d+)-([0-9a-f]{64})$/.exec(file) ?? []
      return number === undefined || id === undefined ? [] : [{ file, number: Number(number), id }]
    })
    return archives.sort((a, b) => b.number - a.number)
  }

  /** The same bytes again are the newest again: their older file goes. */
  async #prune(name: string): Promise<void> {
    const kept = new Set<string>()
    for (const { file, id } of await this.#list(name)) {
      if (kept.has(id) || kept.size === this.#options.kept)
        await rm(join(this.#folderOf(name), file), { force: true })
      else kept.add(id)
    }
  }

  #folderOf(name: string): string {
    return join(this.#options.folder, name)
  }
}

const unfinishedEnding = '.unfinished'

/** `upload:<name>`, and nothing that could be a path. */
export function parseName(url: string): string {
  const name = /^upload:([a-z0-9][a-z0-9-]{0,62})$/.exec(url)?.[1]
  if (name === undefined)
    throw new RivetrError(
      'source_failed',
      `${JSON.stringify(url)} is no name of an upload; use one such as upload:shop`,
      { details: { fault: 'address' } },
    )
  return name
}

import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { RivetrError } from '@rivetr/sdk'
import { confine } from '@rivetr/sdk/kit'
import type { Plain } from './plain.ts'

const longestFile = 1024 * 1024
const mostNames = 10_000

/** The fetched files of an app, as far as a build hook may change them. */
export class WorkspaceFiles {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** The names in a folder, those of folders with a slash at their end; nothing where it does not exist. */
  async list(path: Plain): Promise<Plain> {
    const folder = await this.#find(path ?? '.')
    if (folder === undefined) return undefined
    const entries = await readdir(folder, { withFileTypes: true })
    return entries
      .slice(0, mostNames)
      .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
      .sort()
  }

  /** The bytes of a file; nothing where it does not exist. */
  async read(path: Plain): Promise<Plain> {
    const file = await this.#find(path)
    if (file === undefined) return undefined
    const { size } = await stat(file)
    if (size > longestFile) throw invalid(`${path} is longer than ${longestFile} bytes`)
    return await readFile(file)
  }

  /** Writes a file, and makes the folders above it. Links are not followed out of the folder. */
  async write(path: Plain, content: Plain): Promise<void> {
    if (typeof content !== 'string' && !(content instanceof Uint8Array)) throw invalid('a file is a text')
    if (content.length > longestFile) throw invalid(`a file may have ${longestFile} bytes`)
    const name = nameOf(path)
    const existing = await this.#find(name)
    if (existing !== undefined) return writeFile(existing, content)
    const parent = await this.#ensureFolder(dirname(name))
    await writeFile(join(parent, basename(name)), content, { flag: 'wx' })
  }

  async remove(path: Plain): Promise<void> {
    const file = await this.#find(path)
    if (file === undefined) return
    if ((await stat(file)).isDirectory()) throw invalid(`${path} is a folder; only files are removed`)
    await rm(file)
  }

  /** One level after the other, so that none is made behind a link that leads outside. */
  async #ensureFolder(path: string): Promise<string> {
    if (path === '.' || path === '/') return confine(this.#folder, '.')
    const parent = await this.#ensureFolder(dirname(path))
    const name = basename(path)
    if (name === '..') return confine(this.#folder, path)
    await mkdir(join(parent, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    return confine(this.#folder, path)
  }

  async #find(path: Plain): Promise<string | undefined> {
    try {
      return await confine(this.#folder, nameOf(path))
    } catch (error) {
      if (RivetrError.is(error, 'not_found')) return undefined
      throw error
    }
  }
}

function nameOf(path: Plain): string {
  if (typeof path !== 'string' || path === '') throw invalid('a path is a text, such as Dockerfile')
  return path
}

function invalid(message: string): RivetrError {
  return new RivetrError('invalid_input', `rivetr.fs: ${message}`)
}

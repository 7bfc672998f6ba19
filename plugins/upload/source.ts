import {
  type Branch,
  type Commit,
  type FetchRequest,
  RivetrError,
  type Source,
  type SourceSettings,
} from '@rivetr/sdk'
import { type Archives, parseName } from './archives.ts'
import { unpack } from './unpack.ts'

/** Archives that were sent to Rivetr: the id of a commit is that of the archive. */
export class UploadSource implements Source {
  readonly #archives: Archives
  readonly #unpackedLimitBytes: number

  constructor(archives: Archives, unpackedLimitBytes: number) {
    this.#archives = archives
    this.#unpackedLimitBytes = unpackedLimitBytes
  }

  /** The newest archive: uploads have no branches. */
  async resolve({ url }: SourceSettings): Promise<Commit> {
    const id = await this.#archives.head(parseName(url))
    if (id === undefined)
      throw fault('commit', `nothing was uploaded as ${url} yet: "rivetr deploy APP --from ."`)
    return { id }
  }

  async branches(): Promise<Branch[]> {
    return []
  }

  async check(source: SourceSettings): Promise<void> {
    await this.resolve(source)
  }

  async fetch({ source: { url }, commit, into, onLine, signal }: FetchRequest): Promise<Commit> {
    const file = await this.#archives.find(parseName(url), commit)
    if (file === undefined)
      throw fault(
        'commit',
        `the archive ${commit.slice(0, 10)} of ${url} is not here any more: upload it again`,
      )
    onLine(`unpacking ${commit.slice(0, 10)} of ${url}`)
    const { files, bytes } = await unpack({ file, into, limitBytes: this.#unpackedLimitBytes, signal })
    onLine(`${files} files, ${bytes} bytes`)
    return { id: commit }
  }
}

function fault(part: string, message: string): RivetrError {
  return new RivetrError('source_failed', message, { details: { fault: part } })
}

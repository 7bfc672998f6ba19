import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { extract } from 'tar-stream'
import type { FolderWriter } from './folder-writer.ts'
import { badArchive } from './unpack.ts'

export async function unpackTar(
  file: string,
  writer: FolderWriter,
  { compressed, signal }: { compressed: boolean; signal: AbortSignal },
): Promise<void> {
  const entries = extract()
  const reading = compressed
    ? pipeline(createReadStream(file), createGunzip(), entries, { signal })
    : pipeline(createReadStream(file), entries, { signal })
  try {
    await Promise.all([reading, writeEntries()])
  } catch (error) {
    entries.destroy()
    await reading.catch(() => undefined)
    signal.throwIfAborted()
    throw isBroken(error)
      ? badArchive(`the archive is cut off or damaged: ${(error as Error).message}`, error)
      : error
  }

  async function writeEntries(): Promise<void> {
    for await (const entry of entries) {
      const { name, type, mode = 0, linkname } = entry.header
      if (type === 'directory') await writer.folder(name)
      else if (type === 'symlink') await writer.link(name, linkname ?? '')
      else if (type === 'link') await writer.copy(name, linkname ?? '')
      else if (type === 'file' || type === 'contiguous-file') {
        await writer.file(name, entry as AsyncIterable<Uint8Array>, {
          executable: (mode & 0o100) !== 0,
          signal,
        })
        continue
      } else throw badArchive(`the archive has a ${type}, which is no file: ${JSON.stringify(name)}`)
      entry.resume()
    }
  }
}

/** Of zlib and of tar-stream. */
function isBroken(error: unknown): boolean {
  const { code = '', message = '' } = error as NodeJS.ErrnoException
  return code.startsWith('Z_') || /tar header|end of data|format/i.test(message)
}

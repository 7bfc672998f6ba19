import { text } from 'node:stream/consumers'
import { type Entry, openPromise, type ZipFile } from 'yauzl'
import type { FolderWriter } from './folder-writer.ts'
import { badArchive } from './unpack.ts'

/** The upper half of an entry's external attributes is a Unix mode (APPNOTE 4.4.15), where the archive was made on Unix. */
const kindMask = 0o170000
const kinds = { link: 0o120000, folder: 0o040000, file: 0o100000 } as const

export async function unpackZip(file: string, writer: FolderWriter, signal: AbortSignal): Promise<void> {
  let zip: ZipFile | undefined
  try {
    // It refuses names that lead out, sizes that are not as announced, and what it cannot read.
    zip = await openPromise(file, { strictFileNames: true })
    for await (const entry of zip.eachEntry()) {
      signal.throwIfAborted()
      await write(zip, entry, writer, signal)
    }
  } catch (error) {
    signal.throwIfAborted()
    const { code, message } = error as NodeJS.ErrnoException & { code?: unknown }
    // Errors of ours and of the file system have a code; those of the library have none.
    if (typeof code === 'string' && !code.startsWith('Z_')) throw error
    throw badArchive(`the archive cannot be read: ${message}`, error)
  } finally {
    zip?.close()
  }
}

async function write(zip: ZipFile, entry: Entry, writer: FolderWriter, signal: AbortSignal): Promise<void> {
  const { fileName, externalFileAttributes } = entry
  const mode = externalFileAttributes >>> 16
  const kind = mode & kindMask
  if (entry.isEncrypted()) throw badArchive(`the archive is encrypted: ${JSON.stringify(fileName)}`)
  if (fileName.endsWith('/') || kind === kinds.folder) return writer.folder(fileName)
  if (kind !== 0 && kind !== kinds.file && kind !== kinds.link)
    throw badArchive(`the archive has a device or a pipe, which is no file: ${JSON.stringify(fileName)}`)
  const content = await zip.openReadStreamPromise(entry)
  if (kind !== kinds.link) return writer.file(fileName, content, { executable: (mode & 0o100) !== 0, signal })
  if (entry.uncompressedSize > 4_096)
    throw badArchive(`the archive has a link of ${entry.uncompressedSize} bytes`)
  await writer.link(fileName, await text(content))
}

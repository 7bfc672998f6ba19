import { open } from 'node:fs/promises'
import { RivetrError } from '@rivetr/sdk'
import { FolderWriter } from './folder-writer.ts'

export interface Unpacking {
  readonly file: string
  /** An empty folder. */
  readonly into: string
  /** Of all its files. */
  readonly limitBytes: number
  readonly signal: AbortSignal
}

/** Which kind of archive a file is, by its first bytes: what it was called says nothing. */
const kinds = [
  { magic: Buffer.from([0x1f, 0x8b]), at: 0, kind: 'tar.gz' },
  { magic: Buffer.from('PK'), at: 0, kind: 'zip' },
  { magic: Buffer.from('ustar'), at: 257, kind: 'tar' },
] as const

/**
 * Lays the files of a tar, tar.gz or zip into a folder. Errors: `source_failed`, with what is wrong in which entry; the folder
 * may then hold a part of them.
 */
export async function unpack({
  file,
  into,
  limitBytes,
  signal,
}: Unpacking): Promise<{ files: number; bytes: number }> {
  const writer = new FolderWriter(into, limitBytes)
  const kind = await kindOf(file)
  if (kind === 'zip') {
    const { unpackZip } = await import('./zip.ts')
    await unpackZip(file, writer, signal)
  } else {
    const { unpackTar } = await import('./tar.ts')
    await unpackTar(file, writer, { compressed: kind === 'tar.gz', signal })
  }
  if (writer.files === 0) throw badArchive('the archive holds no file')
  return { files: writer.files, bytes: writer.bytes }
}

async function kindOf(file: string): Promise<(typeof kinds)[number]['kind']> {
  const handle = await open(file)
  try {
    const { buffer } = await handle.read(Buffer.alloc(512), 0, 512, 0)
    const found = kinds.find(({ magic, at }) => buffer.subarray(at, at + magic.length).equals(magic))
    if (found === undefined) throw badArchive('the archive is neither tar, tar.gz nor zip')
    return found.kind
  } finally {
    await handle.close()
  }
}

export function badArchive(message: string, cause?: unknown): RivetrError {
  return new RivetrError('source_failed', message, {
    details: { fault: 'content' },
    ...(cause === undefined ? {} : { cause }),
  })
}

import { buffer } from 'node:stream/consumers'
import { crc32, gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'

export interface TestEntry {
  readonly name: string
  readonly type?: 'file' | 'directory' | 'symlink' | 'link' | 'fifo' | 'character-device'
  readonly content?: string
  readonly linkname?: string
  readonly mode?: number
}

export async function tar(entries: readonly TestEntry[]): Promise<Buffer> {
  const archive = pack()
  for (const { name, type = 'file', content = '', linkname, mode = 0o644 } of entries)
    archive.entry({ name, type, mode, ...(linkname && { linkname }) }, type === 'file' ? content : '')
  archive.finalize()
  return buffer(archive)
}

export async function tarGz(entries: readonly TestEntry[]): Promise<Buffer> {
  return gzipSync(await tar(entries))
}

const kinds = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  fifo: 0o010000,
  'character-device': 0o020000,
}

/** As Info-ZIP writes it on Unix, nothing compressed (APPNOTE 4.3). */
export async function zip(entries: readonly TestEntry[]): Promise<Buffer> {
  const locals: Buffer[] = []
  const central: Buffer[] = []
  let offset = 0
  for (const { name, type = 'file', content = '', linkname = '', mode = 0o644 } of entries) {
    const data = Buffer.from(type === 'symlink' ? linkname : content)
    const nameBytes = Buffer.from(name)
    const head = Buffer.alloc(26)
    head.writeUInt16LE(20, 0)
    head.writeUInt16LE(0x800, 2)
    head.writeUInt32LE(crc32(data), 10)
    head.writeUInt32LE(data.length, 14)
    head.writeUInt32LE(data.length, 18)
    head.writeUInt16LE(nameBytes.length, 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), head, nameBytes, data])
    const tail = Buffer.alloc(14)
    tail.writeUInt32LE((((kinds as Record<string, number>)[type] ?? 0) | mode) * 0x10000, 6)
    tail.writeUInt32LE(offset, 10)
    const madeBy = Buffer.from([20, 3])
    central.push(Buffer.concat([Buffer.from('PK\x01\x02', 'latin1'), madeBy, head, tail, nameBytes]))
    locals.push(local)
    offset += local.length
  }
  const directory = Buffer.concat(central)
  const end = Buffer.alloc(18)
  end.writeUInt16LE(entries.length, 4)
  end.writeUInt16LE(entries.length, 6)
  end.writeUInt32LE(directory.length, 8)
  end.writeUInt32LE(offset, 12)
  return Buffer.concat([...locals, directory, Buffer.from('PK\x05\x06', 'latin1'), end])
}

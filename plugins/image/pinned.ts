import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from '@rivetr/sdk'

/** The one file of what was fetched: which image it is, by its digest. */
const pinned = z.strictObject({ registry: z.string(), name: z.string() })
export type Pinned = z.output<typeof pinned>

const fileIn = (folder: string) => join(folder, 'image.json')

export async function writePinned(folder: string, image: Pinned): Promise<void> {
  await writeFile(fileIn(folder), JSON.stringify(image), { flag: 'wx' })
}

export async function readPinned(folder: string): Promise<Pinned> {
  return pinned.parse(JSON.parse(await readFile(fileIn(folder), 'utf8')))
}

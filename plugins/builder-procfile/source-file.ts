import { readFile } from 'node:fs/promises'
import { RivetrError } from '@rivetr/sdk'
import { confine } from '@rivetr/sdk/kit'

/** A text file of a source tree; undefined when there is none. Errors: `invalid_input` when it is a link that leads out. */
export async function readText(folder: string, path: string): Promise<string | undefined> {
  const file = await find(folder, path)
  return file === undefined ? undefined : await readFile(file, 'utf8')
}

export async function exists(folder: string, path: string): Promise<boolean> {
  return (await find(folder, path)) !== undefined
}

async function find(folder: string, path: string): Promise<string | undefined> {
  try {
    return await confine(folder, path)
  } catch (error) {
    if (RivetrError.is(error, 'not_found')) return undefined
    throw error
  }
}

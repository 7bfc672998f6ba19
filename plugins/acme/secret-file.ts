import { readFile } from 'node:fs/promises'
import { messageOf, RivetrError } from '@rivetr/sdk'

/** Errors: `config_invalid`, naming the setting. */
export async function readSecretFile(file: string, setting: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (cause) {
    throw new RivetrError('config_invalid', `${setting} cannot be read: ${messageOf(cause)}`, { cause })
  }
}

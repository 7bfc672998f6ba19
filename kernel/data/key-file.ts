import { randomBytes } from 'node:crypto'
import { open, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { RivetrError } from '@rivetr/sdk'

const keyBytes = 32

/**
 * The master key: made at the first start (0600), never a default, never made anew while secrets exist that it opens.
 * Errors: `data_unusable` when it is not 32 bytes, or when others may read it.
 */
export async function ensureKeyFile(folder: string, secretsExist: boolean): Promise<Buffer> {
  const path = join(folder, 'secret.key')
  const found = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new RivetrError('data_unusable', `cannot read the key file ${path}: ${error.message}`, {
      cause: error,
    })
  })
  if (found === undefined) {
    if (secretsExist)
      throw new RivetrError(
        'data_unusable',
        `the key file ${path} is missing, but secrets are stored; bring it back from a backup`,
      )
    return makeKeyFile(path)
  }
  if (found.length !== keyBytes)
    throw new RivetrError(
      'data_unusable',
      `the key file ${path} is damaged: ${found.length} bytes, not ${keyBytes}; bring it back from a backup`,
    )
  if (((await stat(path)).mode & 0o077) !== 0)
    throw new RivetrError(
      'data_unusable',
      `others may read the key file ${path}; run "chmod 600 ${path}", and think about who read it`,
    )
  return found
}

async function makeKeyFile(path: string): Promise<Buffer> {
  const key = randomBytes(keyBytes)
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(key)
    await file.sync()
  } finally {
    await file.close()
  }
  return key
}

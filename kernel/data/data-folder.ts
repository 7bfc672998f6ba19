import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { messageOf, RivetrError } from '@rivetr/sdk'

/** The data folder while this process owns it. */
export interface DataFolder {
  readonly path: string
  release(): void
}

/**
 * Makes the folder (0700) and takes it for this process alone. The lock is SQLite's own exclusive lock on a small file:
 * the operating system drops it with the process, however that ends.
 * Errors: `data_unusable` when it cannot be written, or when another Rivetr has it.
 */
export async function takeDataFolder(path: string): Promise<DataFolder> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
    await chmod(path, 0o700)
  } catch (error) {
    throw new RivetrError('data_unusable', `cannot use the data folder ${path}: ${messageOf(error)}`, {
      cause: error,
    })
  }
  const pidFile = join(path, 'rivetr.pid')
  let lock: DatabaseSync | undefined
  try {
    lock = new DatabaseSync(join(path, 'rivetr.lock'))
    lock.exec('pragma locking_mode = exclusive; begin exclusive')
    await writeFile(pidFile, `${process.pid}\n`)
  } catch (error) {
    lock?.close()
    if (/locked|busy/i.test(messageOf(error))) {
      const pid = (await readFile(pidFile, 'utf8').catch(() => '?')).trim()
      throw new RivetrError(
        'data_unusable',
        `another Rivetr (process ${pid}) uses the data folder ${path}; stop it, or give this one another data_dir`,
        { cause: error },
      )
    }
    throw new RivetrError('data_unusable', `cannot write to the data folder ${path}: ${messageOf(error)}`, {
      cause: error,
    })
  }
  const held = lock
  return { path, release: () => held.close() }
}

import { realpath } from 'node:fs/promises'
import { isAbsolute, join, relative, resolve, sep } from 'node:path'
import { RivetrError } from '../errors.ts'

/**
 * The real path of something inside a folder: links are followed, and one that leads outside is refused.
 * For every path that comes from a repository or a person. Errors: `invalid_input`; `not_found` when it does not exist.
 */
export async function confine(folder: string, path: string): Promise<string> {
  if (path.includes('\0') || isAbsolute(path)) throw outside(path)
  const root = await realpath(folder)
  const wanted = resolve(root, path)
  if (!isInside(root, wanted)) throw outside(path)
  let real: string
  try {
    real = await realpath(join(root, path))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new RivetrError('not_found', `no file ${JSON.stringify(path)}`, { cause: error })
    throw outside(path)
  }
  if (!isInside(root, real)) throw outside(path)
  return real
}

/** Whether `path` is `root` or below it; both absolute and resolved. */
export function isInside(root: string, path: string): boolean {
  const way = relative(root, path)
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way))
}

function outside(path: string): RivetrError {
  return new RivetrError('invalid_input', `the path ${JSON.stringify(path)} leads out of the folder`)
}

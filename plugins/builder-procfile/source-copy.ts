import { constants } from 'node:fs'
import { cp, lstat, mkdir, readlink } from 'node:fs/promises'
import { dirname, isAbsolute, relative, resolve } from 'node:path'
import { RivetrError } from '@rivetr/sdk'
import { confine, isInside } from '@rivetr/sdk/kit'

/**
 * Copies a source tree, without its history, into a folder that does not exist yet. Links stay links; one that leads
 * out of the tree is refused, as it would mean something else on every machine. Errors: `build_failed`.
 */
export async function copySource(tree: string, into: string, signal: AbortSignal): Promise<void> {
  await mkdir(dirname(into), { recursive: true })
  await mkdir(into, { mode: 0o700 })
  await cp(tree, into, {
    recursive: true,
    verbatimSymlinks: true,
    mode: constants.COPYFILE_FICLONE,
    filter: async (path) => {
      signal.throwIfAborted()
      const way = relative(tree, path)
      if (way === '.git') return false
      const entry = await lstat(path)
      if (entry.isSymbolicLink()) await refuseEscape(tree, way)
      else if (!entry.isFile() && !entry.isDirectory())
        throw new RivetrError('build_failed', `${way} is neither a file, a folder nor a link; remove it`)
      return true
    },
  })
}

async function refuseEscape(tree: string, way: string): Promise<void> {
  const target = await readlink(resolve(tree, way))
  const fault = new RivetrError(
    'build_failed',
    `the link ${way} leads out of the source (to ${target}); make it relative, or remove it`,
  )
  if (isAbsolute(target) || !isInside(tree, resolve(tree, dirname(way), target))) throw fault
  await confine(tree, way).catch((error: unknown) => {
    if (!RivetrError.is(error, 'not_found')) throw fault // a link to nothing is harmless
  })
}

import type { GitOutcome } from './program.ts'

const pathsNamed = 5
const pointer = 'version https://git-lfs.github.com/spec/'

/** What a person should know about a tree that was checked out: parts that git knows of and that are not there. */
export async function remarks(git: (args: readonly string[]) => Promise<GitOutcome>): Promise<string[]> {
  const [entries, pointers] = await Promise.all([
    git(['ls-files', '--stage']),
    // Only pointers: a file that is stored whole although its pattern says lfs needs no remark.
    git(['grep', '--cached', '--name-only', '--fixed-strings', '-e', pointer, '--', ':(attr:filter=lfs)']),
  ])
  const submodules = entries.stdout
    .filter((line) => line.startsWith('160000 '))
    .map((line) => line.slice(line.indexOf('\t') + 1))
  return remarkOf({ submodules, pointers: pointers.stdout })
}

export function remarkOf({
  submodules,
  pointers,
}: {
  readonly submodules: readonly string[]
  readonly pointers: readonly string[]
}): string[] {
  return [
    ...remark(submodules, 'submodules are not fetched yet; their folders are empty'),
    ...remark(pointers, 'files are Git LFS pointers, and their content is not fetched yet'),
  ]
}

function remark(paths: readonly string[], text: string): string[] {
  if (paths.length === 0) return []
  const more = paths.length > pathsNamed ? ', …' : ''
  return [`warning: ${paths.length} ${text}: ${paths.slice(0, pathsNamed).join(', ')}${more}`]
}

import type { CheckedOut } from './engine.ts'
import type { GitOutcome } from './program.ts'

const pathsNamed = 5
const pointer = 'version https://git-lfs.github.com/spec/'

/** What is named in the index of a tree that was checked out, and is not there. */
export async function absentParts(
  git: (args: readonly string[]) => Promise<GitOutcome>,
): Promise<Pick<CheckedOut, 'submodules' | 'pointers'>> {
  const [entries, pointers] = await Promise.all([
    git(['ls-files', '--stage']),
    // Only pointers: a file that is stored whole although its pattern says lfs needs no remark.
    git(['grep', '--cached', '--name-only', '--fixed-strings', '-e', pointer, '--', ':(attr:filter=lfs)']),
  ])
  const submodules = entries.stdout.flatMap((line) => {
    const [, commit, path] = /^160000 ([0-9a-f]+) \d\t(.*)$/.exec(line) ?? []
    return commit === undefined || path === undefined ? [] : [{ path: unquoted(path), commit }]
  })
  return { submodules, pointers: pointers.stdout.map(unquoted) }
}

/** Git quotes paths with odd characters as C does. */
function unquoted(path: string): string {
  if (!path.startsWith('"')) return path
  const bytes = path
    .slice(1, -1)
    .replace(/\\([0-7]{3}|.)/g, (_, code: string) =>
      code.length === 3
        ? String.fromCharCode(Number.parseInt(code, 8))
        : ({ n: '\n', t: '\t', a: '\x07', b: '\b', v: '\v', f: '\f', r: '\r' }[code] ?? code),
    )
  return bytes
}

/** One line for a person, or none. */
export function remark(paths: readonly string[], text: string): string[] {
  if (paths.length === 0) return []
  const more = paths.length > pathsNamed ? ', …' : ''
  return [`warning: ${paths.length} ${text}: ${paths.slice(0, pathsNamed).join(', ')}${more}`]
}

import { globSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const repositoryRoot = fileURLToPath(new URL('../../', import.meta.url))

/** Tests of one package, beside its code, and those of the layers: no root, no network, one process for all. */
export function unitTestFiles(): string[] {
  return list([
    '{sdk,kernel,cli,lib,plugins,ui}/**/*.test.ts',
    'test/*.test.ts',
    'test/{architecture,runner}/**/*.test.ts',
  ])
}

/** Tests that meet real peers: an engine, git, sockets, a browser. Each file is a process of its own. */
export function endToEndTestFiles(): string[] {
  return list(['test/{machine,e2e}/**/*.test.ts'])
}

/** Paths from the repository's root, in order. */
function list(patterns: readonly string[]): string[] {
  const skipped = new Set(['node_modules', 'build', '.svelte-kit'])
  return globSync(patterns, {
    cwd: repositoryRoot,
    exclude: (path) => skipped.has(path.split('/').at(-1) ?? ''),
  }).sort()
}

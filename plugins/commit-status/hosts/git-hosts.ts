import type { GitHost } from './git-host.ts'
import { gitea } from './gitea.ts'
import { github } from './github.ts'
import { gitlab } from './gitlab.ts'

export const kinds = ['github', 'gitlab', 'gitea'] as const
export type Kind = (typeof kinds)[number]

export const gitHosts: Readonly<Record<Kind, GitHost>> = { github, gitlab, gitea }

/** What serves a host that everybody knows. */
export function kindOf(host: string): Kind | undefined {
  const known: Readonly<Record<string, Kind>> = {
    'github.com': 'github',
    'www.github.com': 'github',
    'gitlab.com': 'gitlab',
    'codeberg.org': 'gitea',
  }
  return known[host]
}

import type { GitEngine } from './engine.ts'
import { GitSource, type GitSourceParts } from './source.ts'

/** A source with this engine; without more said it knows no server of ssh and has no key. */
export function testSource(engine: GitEngine, parts: Partial<GitSourceParts> = {}): GitSource {
  return new GitSource({ engine: async () => engine, allowFile: false, ...noSsh, ...parts })
}

const noSsh = {
  deployKeys: {
    privateKey: async (name: string): Promise<string> => {
      throw new Error(`no key ${name}`)
    },
  },
  knownHosts: { of: async () => [] },
}

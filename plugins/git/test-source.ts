import { Outgoing } from '@rivetr/sdk/kit'
import type { GitEngine } from './engine.ts'
import { Lfs } from './lfs.ts'
import { GitSource, type GitSourceParts } from './source.ts'

/** For servers of this machine at their first address alone. */
export const testSettings = {
  slowestBytesPerSecond: 1_000,
  slowForSeconds: 30,
  outgoingAllow: ['127.0.0.1'],
} as const

/** A source with this engine; without more said it knows no server of ssh and has no key. */
export function testSource(engine: GitEngine, parts: Partial<GitSourceParts> = {}): GitSource {
  const lfs = new Lfs({ ...testSettings, outgoing: new Outgoing(testSettings.outgoingAllow) })
  return new GitSource({
    engine: async () => engine,
    allowFile: false,
    lfs: async () => lfs,
    ...noSsh,
    ...parts,
  })
}

const noSsh = {
  deployKeys: {
    privateKey: async (name: string): Promise<string> => {
      throw new Error(`no key ${name}`)
    },
  },
  knownHosts: { of: async () => [] },
}

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sourceSuite } from '@rivetr/testing/suites/source'
import { BuiltinEngine } from '../../plugins/git/builtin-engine.ts'
import { SystemEngine } from '../../plugins/git/system-engine.ts'
import { testSettings, testSource } from '../../plugins/git/test-source.ts'
import { startGitServer } from '../machine/git-server.ts'

sourceSuite('git (system engine, over http)', {
  serves: ['credentials', 'commitsById'],
  async open() {
    const home = await mkdtemp(join(tmpdir(), 'rivetr-git-'))
    return {
      source: testSource(new SystemEngine({ home, ...testSettings })),
      serve: (folder, options) => startGitServer({ folder, ...options }),
      close: () => rm(home, { recursive: true }),
    }
  },
})

sourceSuite('git (builtin engine, over http)', {
  serves: ['credentials', 'commitsById'],
  lacks: ['sha256'],
  asksForAny: true,
  open: async () => ({
    source: testSource(new BuiltinEngine(testSettings)),
    serve: (folder, options) => startGitServer({ folder, ...options }),
    close: async () => undefined,
  }),
})

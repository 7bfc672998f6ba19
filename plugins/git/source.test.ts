import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { sourceSuite } from '@rivetr/testing/suites/source'
import { SystemEngine } from './system-engine.ts'
import { testSettings, testSource } from './test-source.ts'

sourceSuite('git (system engine, from files)', {
  serves: [],
  async open() {
    const home = await mkdtemp(join(tmpdir(), 'rivetr-git-'))
    const engine = new SystemEngine({ home, ...testSettings })
    return {
      source: testSource(engine, { allowFile: true }),
      serve: async (folder) => ({ url: pathToFileURL(folder).href, close: async () => undefined }),
      close: () => rm(home, { recursive: true }),
    }
  },
})

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sourceSuite } from '@rivetr/testing/suites/source'
import { GitSource } from '../../plugins/git/source.ts'
import { startGitServer } from '../machine/git-server.ts'

sourceSuite('git (system engine, over http)', {
  serves: ['credentials', 'commitsById'],
  async open() {
    const home = await mkdtemp(join(tmpdir(), 'rivetr-git-'))
    return {
      source: new GitSource({ home, allowFile: false, slowestBytesPerSecond: 1_000, slowForSeconds: 30 }),
      serve: (folder, options) => startGitServer({ folder, ...options }),
      close: () => rm(home, { recursive: true }),
    }
  },
})

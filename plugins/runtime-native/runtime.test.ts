import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runtimeSuite } from '@rivetr/testing/suites/runtime'
import { testRuntime } from './test-runtime.ts'

const app = fileURLToPath(new URL('runtime-app.mjs', import.meta.resolve('@rivetr/testing/suites/runtime')))

runtimeSuite('native, without root', {
  capabilities: ['exec', 'terminal', 'stats', 'logs', 'watch'],
  async open() {
    const folder = await mkdtemp(join(tmpdir(), 'rivetr-native-'))
    const release = join(folder, 'release')
    await cp(app, join(release, 'runtime-app.mjs'))
    return {
      runtime: testRuntime(join(folder, 'one')),
      other: testRuntime(join(folder, 'two')),
      artefact: { kind: 'folder', path: release, hash: '' },
      command: (...args) => [process.execPath, 'runtime-app.mjs', ...args],
      close: () => rm(folder, { recursive: true }),
    }
  },
})

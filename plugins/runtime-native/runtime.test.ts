import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Clock } from '@rivetr/sdk'
import { runtimeSuite } from '@rivetr/testing/suites/runtime'
import { NativeRuntime } from './runtime.ts'

const clock: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => void (await sleep(ms, undefined, signal === undefined ? {} : { signal })),
  after(ms, run) {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}

runtimeSuite('native, without root', {
  capabilities: ['exec', 'stats', 'logs', 'watch'],
  async open() {
    const folder = await mkdtemp(join(tmpdir(), 'rivetr-native-'))
    const release = join(folder, 'release')
    const app = fileURLToPath(
      new URL('runtime-app.mjs', import.meta.resolve('@rivetr/testing/suites/runtime')),
    )
    await cp(app, join(release, 'runtime-app.mjs'))
    const runtimeOf = (instance: string) =>
      new NativeRuntime({
        dataDir: join(folder, instance),
        appsDir: join(folder, `${instance}-apps`),
        clock,
        uids: undefined,
        sharedUid: true,
        portFrom: 20_000,
        portCount: 10_000,
        path: '/usr/local/bin:/usr/bin:/bin',
        maxLogBytes: 10 * 1024 * 1024,
      })
    return {
      runtime: runtimeOf('one'),
      other: runtimeOf('two'),
      artefact: { kind: 'folder', path: release, hash: '' },
      command: (...args) => [process.execPath, 'runtime-app.mjs', ...args],
      close: () => rm(folder, { recursive: true, force: true }),
    }
  },
})

import { join } from 'node:path'
import { NativeRuntime } from './runtime.ts'
import { testClock } from './test-clock.ts'

/** A runtime as Rivetr has it without root, with everything it writes below one folder. */
export function testRuntime(folder: string, { sharedUid = true } = {}): NativeRuntime {
  return new NativeRuntime({
    dataDir: join(folder, 'data'),
    appsDir: join(folder, 'apps'),
    clock: testClock,
    uids: undefined,
    sharedUid,
    portFrom: 20_000,
    portCount: 10_000,
    path: '/usr/local/bin:/usr/bin:/bin',
    maxLogBytes: 10 * 1024 * 1024,
  })
}

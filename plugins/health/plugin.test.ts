import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HealthProbe, healthSettings, Runtime } from '@rivetr/sdk'
import { createTestKernel, testPlugin } from '@rivetr/testing'

test('the plugin health boots in a kernel, and its command probe reaches the runtime that a replica is on', async () => {
  const asked: unknown[] = []
  const runtime = {
    accepts: [],
    capabilities: ['exec'],
    detect: async () => ({ available: true, reason: '', preference: 1 }),
    list: async () => [],
    async *watch() {},
    exec: async (...args: unknown[]) => {
      asked.push(args.slice(0, 2))
      return { exitCode: 0, output: '' }
    },
  } as unknown as Runtime
  const engine = testPlugin(
    { name: 'engine', provides: ['runtime:fake'] },
    { setup: (ctx) => ctx.provide(Runtime, 'fake', () => runtime) },
  )
  await using kernel = await createTestKernel({ plugins: [engine], builtIns: ['health'] })
  const settings = healthSettings.parse({ kind: 'command', command: ['pg_isready', '-q'] })
  const target = { replica: 'replica-1', runtime: 'fake', settings }
  const ask = (probe: string) => kernel.get(HealthProbe, probe).probe(target, AbortSignal.timeout(1_000))
  assert.deepEqual(await ask('command'), { healthy: true, detail: '"pg_isready -q" exited with 0' })
  assert.deepEqual(asked, [['replica-1', ['pg_isready', '-q']]])
  assert.equal((await ask('http')).healthy, false)
  assert.equal((await ask('tcp')).healthy, false)
})

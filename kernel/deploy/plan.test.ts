import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Runtime } from '@rivetr/sdk'
import { createDeployStage, FakeRuntime, testPlugin } from '@rivetr/testing'

/** A stage with the runtime `fake` (images and folders) and `shell` (folders only), which is liked less. */
async function twoRuntimes() {
  const shell = new FakeRuntime()
  shell.preference = 10
  shell.accepts = ['folder']
  shell.capabilities = []
  const plugin = testPlugin(
    { name: 'shell', provides: ['runtime:shell'] },
    { setup: (ctx) => ctx.provide(Runtime, 'shell', () => shell) },
  )
  const stage = await createDeployStage({ plugins: [plugin] })
  stage.fakes.runtime.accepts = ['oci']
  return { stage, shell }
}

test('an app is put where it is liked best, and told why', async () => {
  const { stage } = await twoRuntimes()
  await using _ = stage
  const { runtime, runtimeReason } = await stage.createApp()
  assert.deepEqual([runtime, runtimeReason], ['fake', 'a fake that is there'])
})

test('an engine that is away is passed over, with its reason', async () => {
  const { stage } = await twoRuntimes()
  await using _ = stage
  stage.fakes.runtime.away = 'no socket'
  const { runtime, runtimeReason } = await stage.createApp()
  assert.deepEqual([runtime, runtimeReason], ['shell', 'a fake that is there (not fake: no socket)'])
})

test('what the app asks for decides before what is liked', async () => {
  const { stage } = await twoRuntimes()
  await using _ = stage
  const { runtime, runtimeReason } = await stage.createApp({ builder: { kind: 'folder' } })
  assert.equal(runtime, 'shell')
  assert.equal(runtimeReason, 'a fake that is there (not fake: cannot run what the builder folder makes)')
})

test('a runtime that the app names is taken, without a reason', async () => {
  const { stage } = await twoRuntimes()
  await using _ = stage
  const app = await stage.createApp({ runtime: 'shell' })
  assert.deepEqual([app.runtime, app.runtimeReason], ['shell', undefined])
})

test('a named runtime that cannot do what the app asks for is refused with the field', async () => {
  const { stage } = await twoRuntimes()
  await using _ = stage
  for (const [settings, path] of [
    [{ builder: { kind: 'image' } }, 'builder.kind'],
    [{ limits: { pids: 10 } }, 'limits'],
  ] as const)
    await assert.rejects(stage.createApp({ runtime: 'shell', ...settings }), {
      code: 'invalid_input',
      message: new RegExp(`^${path}: the runtime shell cannot`),
    })
})

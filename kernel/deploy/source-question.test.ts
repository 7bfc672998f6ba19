import assert from 'node:assert/strict'
import { test } from 'node:test'
import { appDraft, RivetrError } from '@rivetr/sdk'
import { createDeployStage, tester } from '@rivetr/testing'

const refusal = (fault: string) =>
  new RivetrError('source_failed', `the ${fault} is wrong`, { details: { fault } })

test('a source that is wrong, or cannot be read, is said when an app is created and when its source is changed', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  for (const fault of ['address', 'access']) {
    stage.fakes.source.refusal = refusal(fault)
    const says = (error: unknown) =>
      RivetrError.is(error, 'source_failed') && error.message === `the ${fault} is wrong`
    await assert.rejects(stage.createApp({ name: 'other' }), says)
    const source = appDraft.shape.source.parse({ url: 'https://git.test/moved.git' })
    await assert.rejects(stage.apps.update(tester, 'shop', { source }), says)
    assert.equal((await stage.apps.get(tester, 'shop')).source.url, 'https://git.test/shop.git')
    // What is saved already does not keep the rest from being changed, nor does one that says that it knows.
    await stage.apps.update(tester, 'shop', {
      port: 3001,
      source: (await stage.apps.get(tester, 'shop')).source,
    })
    await stage.createApp({ name: `sure-${fault}`, check: false })
  }
})

test('a branch that is not pushed yet, and a host that breaks off, keep no app from being created', async () => {
  await using stage = await createDeployStage()
  for (const fault of ['branch', 'transfer', 'commit']) {
    stage.fakes.source.refusal = refusal(fault)
    await stage.createApp({ name: `app-${fault}`, routes: [] })
  }
})

test('the branches of an app are listed with the commits at their heads', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  stage.fakes.source.heads.set('next', { id: 'b'.repeat(40) })
  assert.deepEqual(await stage.apps.branches(tester, 'shop'), [
    { name: 'main', commit: 'a'.repeat(40) },
    { name: 'next', commit: 'b'.repeat(40) },
  ])
})

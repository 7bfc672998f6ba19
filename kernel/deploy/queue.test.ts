import assert from 'node:assert/strict'
import { test } from 'node:test'
import { wait } from '@rivetr/sdk'
import { createDeployStage, tester, testPlugin } from '@rivetr/testing'

test('one deployment of an app runs at a time, in the order in which they were asked for', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const goOn = stage.fakes.builder.hang()
  const first = await stage.request('shop', { commit: '1'.repeat(40) })
  const second = await stage.request('shop', { commit: '2'.repeat(40) })
  const third = await stage.request('shop', { commit: '3'.repeat(40) })
  await stage.reaches(first.id, 'building')
  assert.equal((await stage.deployments.get(tester, second.id)).state, 'queued')
  goOn()
  await stage.reaches(third.id, 'live')
  assert.deepEqual(
    stage.fakes.source.fetched.map(([digit]) => digit),
    ['1', '2', '3'],
  )
  assert.equal(stage.fakes.builder.mostAtOnce, 1)
})

test('many apps build side by side, but never more than configured', async () => {
  await using stage = await createDeployStage({ config: { kernel: { maxBuilds: 2 } } })
  const names = ['a', 'b', 'c', 'd', 'e']
  for (const name of names) await stage.createApp({ name })
  const goOn = stage.fakes.builder.hang()
  const all = await Promise.all(names.map((name) => stage.request(name)))
  await stage.until('two builds', () => (stage.fakes.builder.running === 2 ? true : undefined))
  goOn()
  for (const { id } of all) await stage.reaches(id, 'live')
  assert.equal(stage.fakes.builder.mostAtOnce, 2)
})

test('a push supersedes the queued pushes of its app, and nothing else', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  await stage.createApp({ name: 'other' })
  const goOn = stage.fakes.builder.hang()
  const running = await stage.request('shop', { kind: 'push' })
  await stage.reaches(running.id, 'building')
  const manual = await stage.request('shop', { kind: 'manual' })
  const push = await stage.request('shop', { kind: 'push' })
  const elsewhere = await stage.request('other', { kind: 'push' })
  const newest = await stage.request('shop', { kind: 'push' })
  const superseded = await stage.deployments.get(tester, push.id)
  assert.equal(superseded.state, 'superseded')
  assert.equal(superseded.reason, `superseded by ${newest.id}`)
  assert.ok(superseded.endedAt)
  goOn()
  for (const { id } of [running, manual])
    await stage.until('end', async () =>
      /live|retired/.test((await stage.deployments.get(tester, id)).state) ? true : undefined,
    )
  await stage.reaches(newest.id, 'live')
  await stage.reaches(elsewhere.id, 'live')
})

test('a manual deployment supersedes nothing', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  stage.fakes.source.hang()
  await stage.reaches((await stage.request('shop')).id, 'fetching')
  const push = await stage.request('shop', { kind: 'push' })
  await stage.request('shop', { kind: 'manual' })
  assert.equal((await stage.deployments.get(tester, push.id)).state, 'queued')
})

test('a push supersedes a waiting push, and its replicas go', async () => {
  let closed = true
  const keeper = testPlugin(
    { name: 'gate-keeper' },
    { setup: (ctx) => ctx.tap('preSwitch', () => (closed ? wait('needs a promotion') : undefined)) },
  )
  await using stage = await createDeployStage({ plugins: [keeper] })
  await stage.createApp()
  const first = await stage.reaches((await stage.request('shop', { kind: 'push' })).id, 'waiting')
  closed = false
  const second = await stage.request('shop', { kind: 'push' })
  assert.equal((await stage.deployments.get(tester, first.id)).state, 'superseded')
  await stage.reaches(second.id, 'live')
  assert.deepEqual(
    stage.fakes.runtime.specs.map(({ deployment }) => deployment),
    [second.id],
  )
})

test('a deployment without a commit takes the head of the branch when its turn comes', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const goOn = stage.fakes.builder.hang()
  const first = await stage.request('shop')
  await stage.reaches(first.id, 'building')
  const second = await stage.request('shop')
  stage.fakes.source.heads.set('main', { id: 'd'.repeat(40) })
  goOn()
  const live = await stage.reaches(second.id, 'live')
  assert.equal(live.commit?.id, 'd'.repeat(40))
})

test('who asked, why, and by which request stands in the record', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const { trigger, requestId } = await stage.request('shop', {
    kind: 'schedule',
    reason: 'found while comparing heads',
    requestId: 'req-1',
  })
  assert.deepEqual(trigger, { kind: 'schedule', by: 'system:tester', reason: 'found while comparing heads' })
  assert.equal(requestId, 'req-1')
})

test('deployments are listed newest first, page by page', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  stage.fakes.source.hang()
  const ids: string[] = []
  for (let count = 0; count < 5; count++) ids.unshift((await stage.request('shop')).id)
  const first = await stage.deployments.list(tester, 'shop', { limit: 3 })
  const rest = await stage.deployments.list(tester, 'shop', { limit: 3, cursor: first.nextCursor })
  assert.deepEqual(
    [...first.items, ...rest.items].map(({ id }) => id),
    ids,
  )
  assert.equal(rest.nextCursor, undefined)
})

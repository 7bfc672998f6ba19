import assert from 'node:assert/strict'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { RivetrError } from '@rivetr/sdk'
import { createDeployStage, type DeployStage, fakePlugins, TestClock, tester } from '@rivetr/testing'

const hourMs = 3_600_000
const inMs = (stage: DeployStage, ms: number) => new Date(stage.clock.now() + ms).toISOString()

test('a deployment at a time waits until then, and blocks nobody meanwhile', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const at = inMs(stage, hourMs)
  const scheduled = await stage.request('shop', { at })
  assert.deepEqual(
    [scheduled.state, scheduled.trigger.kind, scheduled.trigger.reason, scheduled.resumeAt],
    ['waiting', 'schedule', `for ${at}`, at],
  )
  await stage.deploy('shop', { kind: 'push', commit: '1'.repeat(40) })
  await stage.deploy('shop', { commit: '2'.repeat(40) })
  assert.equal(
    (await stage.deployments.get(tester, scheduled.id)).state,
    'waiting',
    'a push supersedes it not',
  )
  stage.fakes.source.heads.set('main', { id: 'b'.repeat(40) })
  await stage.clock.advance(hourMs + 1)
  const live = await stage.reaches(scheduled.id, 'live')
  assert.equal(live.commit?.id, 'b'.repeat(40), 'the head of its own time')
})

test('U19: a scheduled deployment survives a restart; one whose time went by meanwhile begins at the next start, once', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-schedule-'))
  const fakes = fakePlugins()
  const dataDir = join(folder.path, 'data')
  const clock = new TestClock()
  await using first = await createDeployStage({ dataDir, fakes, clock })
  await first.createApp()
  const missed = await first.request('shop', { at: inMs(first, hourMs), commit: '1'.repeat(40) })
  const later = await first.request('shop', { at: inMs(first, 5 * hourMs), commit: '2'.repeat(40) })
  await first.kernel.stop('SIGTERM')

  const next = new TestClock()
  await next.advance(2 * hourMs + (clock.now() - next.now()))
  await using second = await createDeployStage({ dataDir, fakes, clock: next })
  await second.reaches(missed.id, 'live')
  assert.equal((await second.deployments.get(tester, later.id)).state, 'waiting')
  await next.advance(4 * hourMs)
  await second.reaches(later.id, 'live')
  assert.deepEqual(fakes.source.fetched, ['1'.repeat(40), '2'.repeat(40)])
})

test('a scheduled deployment is taken back by cancel, brought forward by promote, and ended when the app is stopped', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const [taken, forward, ended] = [
    await stage.request('shop', { at: inMs(stage, hourMs) }),
    await stage.request('shop', { at: inMs(stage, hourMs) }),
    await stage.request('shop', { at: inMs(stage, hourMs) }),
  ]
  assert.equal((await stage.deployments.cancel(tester, taken.id)).state, 'cancelled')
  await stage.deployments.promote(tester, forward.id)
  await stage.reaches(forward.id, 'live')
  await stage.apps.stop(tester, 'shop')
  assert.equal((await stage.deployments.get(tester, ended.id)).state, 'cancelled')
})

test('a time that is past, or no time, or further away than a year is refused', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  for (const at of [inMs(stage, -1), inMs(stage, 400 * 24 * hourMs), 'tomorrow', ''])
    await assert.rejects(
      stage.request('shop', { at }),
      (error) => RivetrError.is(error, 'invalid_input') && /no time within the next year/.test(error.message),
    )
})

test('a deployment a month away does not keep the queue busy, nor is it forgotten', async () => {
  // Nothing else ticks while weeks go by.
  await using stage = await createDeployStage({ config: { kernel: { monitorIntervalMs: 24 * hourMs } } })
  await stage.createApp()
  const { id } = await stage.request('shop', { at: inMs(stage, 30 * 24 * hourMs) })
  const pauses: number[] = []
  const { after } = stage.clock
  stage.clock.after = (ms, run) => {
    pauses.push(ms)
    return after.call(stage.clock, ms, run)
  }
  await stage.deploy('shop', { commit: '1'.repeat(40) })
  assert.ok(Math.max(...pauses) < 2 ** 31, 'what a timer can hold')
  for (let days = 0; days < 30; days += 1) await stage.clock.advance(24 * hourMs + 2)
  await stage.reaches(id, 'live')
})

test('while one is scheduled, heads are compared as ever', async () => {
  await using stage = await createDeployStage({ config: { kernel: { headsIntervalMs: 60_000 } } })
  await stage.createApp()
  await stage.deploy('shop')
  await stage.request('shop', { at: inMs(stage, 24 * hourMs) })
  stage.fakes.source.heads.set('main', { id: 'b'.repeat(40) })
  await stage.clock.advance(72_000)
  await stage.until('the deployment that was found', async () =>
    (await stage.deployments.list(tester, 'shop')).items.find(({ commit }) => commit?.id === 'b'.repeat(40)),
  )
})

test('a tag or branch is deployed as it is when it is asked for; one that is not there is said at once', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  stage.fakes.source.heads.set('refs/tags/v1', { id: 'c'.repeat(40) })
  const goOn = stage.fakes.builder.hang()
  await stage.request('shop', { commit: '1'.repeat(40) })
  const { id, commit } = await stage.request('shop', { ref: 'refs/tags/v1' })
  assert.equal(commit?.id, 'c'.repeat(40))
  stage.fakes.source.heads.set('refs/tags/v1', { id: 'd'.repeat(40) })
  goOn()
  assert.equal((await stage.reaches(id, 'live')).commit?.id, 'c'.repeat(40))
  await assert.rejects(
    stage.request('shop', { ref: 'refs/tags/v9' }),
    (error) => RivetrError.is(error, 'source_failed') && /v9/.test(error.message),
  )
  await assert.rejects(stage.request('shop', { ref: 'main', commit: '1'.repeat(40) }), (error) =>
    RivetrError.is(error, 'invalid_input'),
  )
})

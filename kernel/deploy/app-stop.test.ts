import assert from 'node:assert/strict'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createDeployStage, type DeployStage, fakePlugins, tester } from '@rivetr/testing'

const upstreams = ({ fakes }: DeployStage) => fakes.traffic.table.routes.flatMap((route) => route.upstreams)
const nothingRuns = (stage: DeployStage) =>
  stage.until('the end of all', () => (stage.fakes.runtime.specs.length === 0 ? true : undefined))

test('a stopped app has no replicas and keeps its routes, also over a start of Rivetr, and comes back with its env', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-stop-'))
  const fakes = fakePlugins()
  const dataDir = join(folder.path, 'data')
  {
    await using first = await createDeployStage({ dataDir, fakes })
    await first.createApp()
    await first.deploy('shop')
    const app = await first.apps.stop(tester, 'shop')
    assert.deepEqual([app.state, app.live?.release], ['stopped', 1])
    assert.deepEqual(upstreams(first), [])
    assert.equal(fakes.traffic.table.routes.length, 1)
    await nothingRuns(first)
    assert.equal((await first.apps.stop(tester, 'shop')).state, 'stopped')
  }
  await using second = await createDeployStage({ dataDir, fakes })
  await second.clock.advance(60_000)
  assert.deepEqual(fakes.runtime.specs, [])
  assert.equal((await second.apps.get(tester, 'shop')).state, 'stopped')
  await second.apps.changeEnv(tester, 'shop', {
    set: { GREETING: { value: 'again', secret: false } },
    unset: [],
    revokeEarlier: false,
  })
  const started = await second.deployments.start(tester, 'shop')
  assert.equal(started.trigger.kind, 'restart')
  await second.reaches(started.id, 'live')
  assert.equal((await second.apps.get(tester, 'shop')).state, 'running')
  assert.equal(fakes.runtime.runningSpecs[0]?.env.GREETING, 'again')
  assert.equal(upstreams(second).length, 1)
})

test('a stop ends what would bring new replicas, and no push does', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  await stage.deploy('shop')
  stage.fakes.builder.hang()
  const building = await stage.request('shop')
  await stage.reaches(building.id, 'building')
  const queued = await stage.request('shop')
  await stage.apps.stop(tester, 'shop')
  for (const { id } of [building, queued])
    assert.equal((await stage.deployments.get(tester, id)).state, 'cancelled')
  await nothingRuns(stage)
  const steps = (await stage.deployments.list(tester, 'shop')).items.at(-1)?.steps ?? []
  assert.ok(!steps.some(({ step }) => step === 'retire'), 'the live deployment did not retire itself')
})

test('a deployment starts a stopped app; one that fails leaves it stopped', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  await stage.deploy('shop')
  await stage.apps.stop(tester, 'shop')
  stage.fakes.builder.failNext()
  const failing = await stage.request('shop')
  await stage.until('its end', () => stage.reachedEnd(failing.id))
  assert.equal((await stage.apps.get(tester, 'shop')).state, 'stopped')
  await stage.deploy('shop')
  assert.equal((await stage.apps.get(tester, 'shop')).state, 'running')
})

test('the release that an app was stopped with can be brought back by a rollback', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const { id } = await stage.deploy('shop')
  await assert.rejects(stage.deployments.rollback(tester, id), { code: 'conflict' })
  await stage.apps.stop(tester, 'shop')
  await stage.reaches((await stage.deployments.rollback(tester, id)).id, 'live')
  assert.equal((await stage.apps.get(tester, 'shop')).state, 'running')
})

test('what cannot be started or restarted is a conflict that says what to do', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const conflict = (message: RegExp) => ({ code: 'conflict', message })
  await assert.rejects(stage.deployments.start(tester, 'shop'), conflict(/deploy it first/))
  await assert.rejects(stage.deployments.restart(tester, 'shop'), conflict(/deploy it first/))
  await stage.deploy('shop')
  await assert.rejects(stage.deployments.start(tester, 'shop'), conflict(/restart it instead/))
  await stage.apps.stop(tester, 'shop')
  await assert.rejects(stage.deployments.restart(tester, 'shop'), conflict(/start it instead/))
})

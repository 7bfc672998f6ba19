import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtempDisposable, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type DeploymentState, Deployments, wait } from '@rivetr/sdk'
import { createDeployStage, type DeployStage, fakePlugins, tester, testPlugin } from '@rivetr/testing'

function temporaryFolder() {
  return mkdtempDisposable(join(tmpdir(), 'rivetr-recovery-'))
}

/** Stops a kernel as a signal does: the rows stay as they are. */
const stop = (stage: DeployStage) => stage.kernel.stop('SIGTERM')

const hangs: readonly (readonly [DeploymentState, (stage: DeployStage) => () => void])[] = [
  ['fetching', ({ fakes }) => fakes.source.hang()],
  ['building', ({ fakes }) => fakes.builder.hang()],
  ['starting', ({ fakes }) => fakes.runtime.hang('start')],
  [
    'checking',
    ({ fakes: { probe } }) => {
      const well = probe.answer
      probe.answer = () => ({ healthy: false, detail: 'not yet' })
      return () => {
        probe.answer = well
      }
    },
  ],
]

for (const [state, hang] of hangs) {
  test(`a deployment that was ${state} when Rivetr stopped starts again and becomes live`, async () => {
    await using folder = await temporaryFolder()
    const fakes = fakePlugins()
    const dataDir = join(folder.path, 'data')
    await using first = await createDeployStage({ dataDir, fakes })
    await first.createApp()
    const old = await first.deploy('shop')
    const goOn = hang(first)
    const { id } = await first.request('shop')
    await first.reaches(id, state)
    await stop(first)
    assert.equal(fakes.traffic.table.routes[0]?.upstreams.length, 1)
    goOn()

    await using second = await createDeployStage({ dataDir, fakes })
    const live = await second.reaches(id, 'live')
    assert.equal(live.attempt, 2)
    assert.deepEqual(
      live.steps
        .filter(({ outcome }) => outcome === 'running')
        .map(({ step }) => step)
        .filter((step) => step !== 'switch'),
      [],
    )
    assert.equal((await second.deployments.get(tester, old.id)).state, 'retired')
    await second.until('the one replica', () => (fakes.runtime.specs.length === 1 ? true : undefined))
    assert.equal(fakes.runtime.specs[0]?.deployment, id)
  })
}

for (const [state, hang] of hangs) {
  test(`one that was ${state} is cancelled, also before the boot has come to it`, async () => {
    await using folder = await temporaryFolder()
    const fakes = fakePlugins()
    const dataDir = join(folder.path, 'data')
    await using first = await createDeployStage({ dataDir, fakes })
    await first.createApp()
    const old = await first.deploy('shop')
    const goOn = hang(first)
    const { id } = await first.request('shop')
    await first.reaches(id, state)
    await stop(first)
    goOn()

    const early = testPlugin(
      { name: 'early', requires: ['deployments'] },
      { setup: () => undefined, start: async (ctx) => void (await ctx.get(Deployments).cancel(tester, id)) },
    )
    await using second = await createDeployStage({ dataDir, fakes, plugins: [early] })
    const cancelled = await second.deployments.get(tester, id)
    assert.equal(cancelled.state, 'cancelled')
    assert.equal(cancelled.steps.at(-1)?.outcome, 'cancelled')
    assert.deepEqual(
      fakes.runtime.specs.map(({ deployment }) => deployment),
      [old.id],
    )
    assert.equal((await second.deploy('shop')).state, 'live')
  })
}

test('a deployment of which something cannot be removed at boot fails and says why, and the next one goes on', async () => {
  await using folder = await temporaryFolder()
  const fakes = fakePlugins()
  const dataDir = join(folder.path, 'data')
  await using first = await createDeployStage({ dataDir, fakes })
  await first.createApp()
  const goOn = fakes.source.hang()
  const { id } = await first.request('shop')
  const workspaces = join(dataDir, 'workspaces')
  await first.until('the workspace', () => existsSync(join(workspaces, id)) || undefined)
  await stop(first)
  goOn()
  await rm(workspaces, { recursive: true, force: true })
  await writeFile(workspaces, 'no folder')

  await using second = await createDeployStage({ dataDir, fakes })
  const failed = await second.reaches(id, 'failed')
  assert.match(String(failed.reason), /stopped while it was fetching, and .* could not be removed: ENOTDIR/)
  await rm(workspaces)
  await second.deploy('shop')
})

test('a release command that was cut off is not run again: the deployment fails and says why', async () => {
  await using folder = await temporaryFolder()
  const fakes = fakePlugins()
  const dataDir = join(folder.path, 'data')
  await using first = await createDeployStage({ dataDir, fakes })
  await first.createApp({ releaseCommand: ['migrate'] })
  const goOn = fakes.runtime.hang('run')
  const { id } = await first.request('shop')
  await first.reaches(id, 'preparing')
  await first.until('the command', () => fakes.runtime.calls.find((call) => call === 'run migrate'))
  await stop(first)
  goOn()

  await using second = await createDeployStage({ dataDir, fakes })
  const failed = await second.reaches(id, 'failed')
  assert.match(failed.reason ?? '', /stopped while the release command ran; it is not run twice/)
  assert.equal(failed.error?.step, 'prepare')
  assert.equal(fakes.runtime.calls.filter((call) => call === 'run migrate').length, 1)
})

test('a release command that ended before Rivetr stopped is not run again', async () => {
  await using folder = await temporaryFolder()
  const fakes = fakePlugins()
  const dataDir = join(folder.path, 'data')
  await using first = await createDeployStage({ dataDir, fakes })
  await first.createApp({ releaseCommand: ['migrate'] })
  const goOn = fakes.runtime.hang('start')
  const { id } = await first.request('shop')
  await first.reaches(id, 'starting')
  await stop(first)
  goOn()

  await using second = await createDeployStage({ dataDir, fakes })
  await second.reaches(id, 'live')
  assert.equal(fakes.runtime.calls.filter((call) => call === 'run migrate').length, 1)
})

test('a switch that was past its commit point rolls forward', async () => {
  await using folder = await temporaryFolder()
  const fakes = fakePlugins()
  const dataDir = join(folder.path, 'data')
  await using first = await createDeployStage({ dataDir, fakes })
  await first.createApp()
  const old = await first.deploy('shop')
  fakes.traffic.failNext('apply')
  const { id } = await first.request('shop')
  await first.reaches(id, 'switching')
  await stop(first)

  await using second = await createDeployStage({ dataDir, fakes })
  const live = await second.reaches(id, 'live')
  assert.equal(live.attempt, 1)
  const before = live.steps.filter(({ step }) => step !== 'retire')
  assert.deepEqual(
    before.map(({ outcome }) => outcome),
    before.map(() => 'done'),
  )
  assert.equal((await second.deployments.get(tester, old.id)).state, 'retired')
  await second.until('end of the old replica', () => (fakes.runtime.specs.length === 1 ? true : undefined))
  const [route] = fakes.traffic.table.routes
  assert.deepEqual(
    route?.upstreams.map(({ replica }) => replica),
    live.replicas.map((replica) => replica.id),
  )
})

test('a switch that was past its commit point is live, and the old replica goes, only once the edges have the table', async () => {
  await using folder = await temporaryFolder()
  const fakes = fakePlugins()
  const dataDir = join(folder.path, 'data')
  await using first = await createDeployStage({ dataDir, fakes })
  await first.createApp()
  await first.deploy('shop')
  fakes.traffic.failNext('apply')
  const { id } = await first.request('shop')
  await first.reaches(id, 'switching')
  await stop(first)

  const edges = Promise.withResolvers<void>()
  const apply = fakes.traffic.apply.bind(fakes.traffic)
  fakes.traffic.apply = async (...table) => {
    await edges.promise
    return apply(...table)
  }
  await using second = await createDeployStage({ dataDir, fakes })
  const next = await second.request('shop')
  for (let passed = 0; passed < 50; passed++) await second.clock.advance(1_000)
  assert.equal((await second.deployments.get(tester, id)).state, 'switching')
  assert.equal((await second.deployments.get(tester, next.id)).state, 'queued')
  assert.equal(fakes.runtime.runningSpecs.length, 2)
  edges.resolve()
  await second.reaches(next.id, 'live')
  assert.equal((await second.deployments.get(tester, id)).state, 'retired')
  await second.until('end of the old replicas', () => (fakes.runtime.specs.length === 1 ? true : undefined))
})

test('queued and waiting deployments stay what they are', async () => {
  await using folder = await temporaryFolder()
  const fakes = fakePlugins()
  const dataDir = join(folder.path, 'data')
  const plugins = [
    testPlugin(
      { name: 'gate-keeper' },
      {
        setup: (ctx) =>
          ctx.tap('preDeploy', ({ app }) => (app.name === 'held' ? wait('not yet') : undefined)),
      },
    ),
  ]
  await using first = await createDeployStage({ dataDir, fakes, plugins })
  await first.createApp()
  await first.createApp({ name: 'held' })
  const goOn = fakes.source.hang()
  const running = await first.request('shop')
  await first.reaches(running.id, 'fetching')
  const queued = await first.request('shop')
  const waiting = await first.reaches((await first.request('held')).id, 'waiting')
  await stop(first)
  goOn()

  await using second = await createDeployStage({ dataDir, fakes, plugins })
  await second.reaches(queued.id, 'live')
  const still = await second.deployments.get(tester, waiting.id)
  assert.equal(still.state, 'waiting')
  assert.equal(still.reason, 'not yet')
})

test('a deployment that hangs in a gate when Rivetr stops is neither failed nor cancelled', async () => {
  await using folder = await temporaryFolder()
  const fakes = fakePlugins()
  const dataDir = join(folder.path, 'data')
  let open = false
  const asked = Promise.withResolvers<void>()
  const plugins = [
    testPlugin(
      { name: 'gate-keeper' },
      {
        setup: (ctx) =>
          ctx.tap('preDeploy', () => {
            asked.resolve()
            return open ? undefined : new Promise<never>(() => undefined)
          }),
      },
    ),
  ]
  await using first = await createDeployStage({ dataDir, fakes, plugins })
  await first.createApp()
  const { id } = await first.request('shop')
  await asked.promise
  await stop(first)
  open = true
  await using second = await createDeployStage({ dataDir, fakes, plugins })
  await second.reaches(id, 'live')
})

test('live routes are applied at once, with an epoch that is newer than that of the boot before', async () => {
  await using folder = await temporaryFolder()
  const fakes = fakePlugins()
  const dataDir = join(folder.path, 'data')
  await using first = await createDeployStage({ dataDir, fakes })
  await first.createApp()
  const { replicas } = await first.deploy('shop')
  const { epoch } = fakes.traffic
  await stop(first)
  assert.deepEqual(fakes.runtime.runningSpecs.length, 1)

  await using second = await createDeployStage({ dataDir, fakes })
  await second.until('table', () => (fakes.traffic.epoch > epoch ? true : undefined))
  assert.deepEqual(
    fakes.traffic.table.routes[0]?.upstreams.map(({ replica }) => replica),
    replicas.map(({ id }) => id),
  )
  assert.equal(fakes.runtime.calls.filter((call) => call === 'start web').length, 1)
})

test('after a reboot of the machine live replicas are started again, as they were', async () => {
  await using folder = await temporaryFolder()
  const fakes = fakePlugins()
  const dataDir = join(folder.path, 'data')
  await using first = await createDeployStage({ dataDir, fakes })
  await first.createApp({ env: { COLOUR: { value: 'red' } } })
  await first.deploy('shop')
  const before = fakes.runtime.specs
  await stop(first)
  fakes.runtime.reboot()

  await using second = await createDeployStage({ dataDir, fakes })
  assert.deepEqual(fakes.runtime.runningSpecs, before)
  assert.equal(second.fakes, fakes)
})

test('old replicas go on draining after a boot', async () => {
  await using folder = await temporaryFolder()
  const fakes = fakePlugins()
  const dataDir = join(folder.path, 'data')
  await using first = await createDeployStage({ dataDir, fakes })
  await first.createApp()
  const old = await first.deploy('shop')
  fakes.traffic.inFlight = { [old.replicas[0]?.id ?? '']: 1 }
  const { id } = await first.deploy('shop')
  await stop(first)
  assert.equal(fakes.runtime.runningSpecs.length, 2)

  await using second = await createDeployStage({ dataDir, fakes })
  await second.clock.advance(1_000)
  assert.equal(fakes.runtime.runningSpecs.length, 2)
  fakes.traffic.inFlight = {}
  await second.until('end', async () => {
    await second.clock.advance(100)
    return fakes.runtime.specs.length === 1 ? true : undefined
  })
  assert.equal(fakes.runtime.specs[0]?.deployment, id)
})

test('a stray of a deployment of ours is removed at boot, one of an unknown deployment is reported and left', async () => {
  await using folder = await temporaryFolder()
  const fakes = fakePlugins()
  const dataDir = join(folder.path, 'data')
  await using first = await createDeployStage({ dataDir, fakes })
  await first.createApp()
  const { id } = await first.deploy('shop')
  await stop(first)
  const [spec] = fakes.runtime.specs
  assert.ok(spec)
  const signal = AbortSignal.timeout(1_000)
  await fakes.runtime.start({ ...spec, id: 'stray' }, signal)
  await fakes.runtime.start({ ...spec, id: 'unknown', deployment: 'somebody' }, signal)

  await using second = await createDeployStage({ dataDir, fakes })
  assert.deepEqual(
    fakes.runtime.specs.map((each) => each.id),
    [spec.id, 'unknown'],
  )
  assert.ok(second.kernel.log.some(({ msg }) => /replica unknown .* is left alone/.test(String(msg))))
  assert.equal((await second.deployments.get(tester, id)).state, 'live')
})

test('what is asked for while a boot still recovers begins only afterwards, and is not taken for cut off', async () => {
  await using folder = await temporaryFolder()
  const fakes = fakePlugins()
  const dataDir = join(folder.path, 'data')
  await using first = await createDeployStage({ dataDir, fakes })
  await first.createApp()
  await first.deploy('shop')
  await stop(first)

  const { runtime, source } = fakes
  const fetched = source.fetched.length
  let begun = 0
  const list = runtime.list.bind(runtime)
  runtime.list = async () => {
    // The first thing that a recovery asks: as an engine that takes its time.
    for (let turns = 0; turns < 500; turns++) await new Promise(setImmediate)
    begun = source.fetched.length - fetched
    runtime.list = list
    return list()
  }
  let asked = ''
  const early = testPlugin(
    { name: 'early', requires: ['deployments'] },
    {
      setup: () => undefined,
      async start(ctx) {
        asked = (await ctx.get(Deployments).request(tester, 'shop', { kind: 'manual' })).id
      },
    },
  )
  await using second = await createDeployStage({ dataDir, fakes, plugins: [early] })
  const live = await second.reaches(asked, 'live')
  assert.equal(live.attempt, 1)
  assert.equal(begun, 0)
})

test('an engine that is away at boot keeps nobody from booting', async () => {
  await using folder = await temporaryFolder()
  const fakes = fakePlugins()
  const dataDir = join(folder.path, 'data')
  await using first = await createDeployStage({ dataDir, fakes })
  await first.createApp()
  const { id } = await first.deploy('shop')
  await stop(first)
  fakes.runtime.away = 'no daemon'
  await using second = await createDeployStage({ dataDir, fakes })
  assert.equal((await second.deployments.get(tester, id)).state, 'live')
  await second.until('table', () => fakes.traffic.table.routes[0]?.upstreams[0])
})

import assert from 'node:assert/strict'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { AppInput, Tap } from '@rivetr/sdk'
import { createDeployStage, type DeployStage, fakePlugins, tester, testPlugin } from '@rivetr/testing'

type Exit = Parameters<Tap<'replicaExited'>>[0]
type Change = Parameters<Tap<'healthChanged'>>[0]

/** A stage with a live app, and what was told of its replicas. */
async function liveStage(settings: Partial<AppInput> = {}): Promise<{
  stage: DeployStage
  replica: string
  exits: Exit[]
  changes: Change[]
}> {
  const exits: Exit[] = []
  const changes: Change[] = []
  const ears = testPlugin(
    { name: 'ears' },
    {
      setup(ctx) {
        ctx.tap('replicaExited', (exit) => void exits.push(exit))
        ctx.tap('healthChanged', (change) => void changes.push(change))
      },
    },
  )
  const stage = await createDeployStage({ plugins: [ears] })
  await stage.createApp(settings)
  const { replicas } = await stage.deploy('shop')
  return { stage, replica: replicas[0]?.id ?? '', exits, changes }
}

function upstreams({ fakes }: DeployStage): string[] {
  return fakes.traffic.table.routes.flatMap((route) => route.upstreams.map(({ replica }) => replica))
}

/** Lets time pass in steps until it is so; how much that took. */
async function pass(stage: DeployStage, what: string, so: () => boolean, stepMs = 250): Promise<number> {
  const startedAt = stage.clock.now()
  await stage.until(what, async () => {
    if (so()) return true
    await stage.clock.advance(stepMs)
    return undefined
  })
  return stage.clock.now() - startedAt
}

const starts = ({ fakes }: DeployStage) => fakes.runtime.calls.filter((call) => call === 'start web').length

test('a live replica that ends leaves the table, is told of, and comes back by itself', async () => {
  const { stage, replica, exits, changes } = await liveStage()
  await using _ = stage
  stage.fakes.probe.answer = () => ({ healthy: false, detail: 'not yet' })
  stage.fakes.runtime.crash(replica, { exitCode: 137, oom: true })
  await stage.until('an empty table', () => (upstreams(stage).length === 0 ? true : undefined))
  const [live] = (await stage.deployments.list(tester, 'shop')).items
  assert.deepEqual(
    live?.replicas.map(({ state, exitCode, oom }) => ({ state, exitCode, oom })),
    [{ state: 'starting', exitCode: 137, oom: true }],
  )
  await pass(stage, 'start', () => starts(stage) === 2)
  await stage.clock.advance(2_000)
  assert.deepEqual(upstreams(stage), [])
  stage.fakes.probe.answer = () => ({ healthy: true, detail: 'well' })
  await pass(stage, 'replica in the table', () => upstreams(stage)[0] === replica)
  await stage.until('both changes', () => (changes.length === 2 ? true : undefined))
  assert.deepEqual(
    exits.map(({ exitCode, oom }) => ({ exitCode, oom })),
    [{ exitCode: 137, oom: true }],
  )
  assert.deepEqual(
    changes.map(({ from, to, detail }) => `${from} → ${to}: ${detail}`),
    ['ready → starting: it ended', 'starting → ready: well'],
  )
})

test('the pause before a start doubles up to a minute, and is short again after a good life', async () => {
  const { stage, replica } = await liveStage()
  await using _ = stage
  const { runtime } = stage.fakes
  const pauses: number[] = []
  const fall = async () => {
    const before = starts(stage)
    runtime.crash(replica)
    pauses.push(await pass(stage, 'start', () => starts(stage) > before, 1_000))
    await stage.until('the table', () => (upstreams(stage).length === 1 ? true : undefined))
  }
  const expected = [1, 2, 4, 8, 16, 32, 60]
  for (const seconds of expected) {
    await fall()
    const took = (pauses.at(-1) ?? 0) / 1_000
    assert.ok(took >= seconds && took <= seconds + 4, `${took} s in place of ${seconds} s`)
  }
  await stage.clock.advance(121_000)
  await fall()
  assert.ok((pauses.at(-1) ?? 0) < 5_000, `${pauses.at(-1)} ms`)
})

test('an engine that is away changes nothing: rows, routes and replicas stay, and nothing is started', async () => {
  const { stage, replica, exits } = await liveStage()
  await using _ = stage
  const { runtime } = stage.fakes
  const before = starts(stage)
  runtime.away = 'no daemon'
  await pass(
    stage,
    'a look',
    () => stage.kernel.log.some(({ msg }) => /fake is away/.test(String(msg))),
    5_000,
  )
  await stage.clock.advance(60_000)
  assert.deepEqual(upstreams(stage), [replica])
  assert.equal(starts(stage), before)
  assert.deepEqual(exits, [])
  runtime.away = undefined
  await pass(stage, 'its return', () => stage.kernel.log.some(({ msg }) => /fake is back/.test(String(msg))))
  assert.deepEqual(upstreams(stage), [replica])
  assert.equal(starts(stage), before)
})

test('an engine that comes back without its replicas: they are started again', async () => {
  const { stage, replica } = await liveStage()
  await using _ = stage
  const { runtime } = stage.fakes
  const [spec] = runtime.specs
  runtime.away = 'no daemon'
  await pass(
    stage,
    'a look',
    () => stage.kernel.log.some(({ msg }) => /fake is away/.test(String(msg))),
    5_000,
  )
  runtime.reboot()
  runtime.away = undefined
  await pass(stage, 'start', () => runtime.runningSpecs.length === 1)
  assert.deepEqual(runtime.runningSpecs, [spec])
  await pass(stage, 'replica in the table', () => upstreams(stage)[0] === replica)
})

test('B6: a replica that runs at another endpoint than the allotted one gets no traffic until it is where it was', async () => {
  const { stage, replica } = await liveStage()
  await using _ = stage
  const { runtime, traffic } = stage.fakes
  const list = runtime.list.bind(runtime)
  const elsewhere = { address: '10.9.9.9', port: 1 }
  runtime.list = async () => (await list()).map((status) => ({ ...status, endpoint: elsewhere }))
  const goOn = runtime.hang('start')
  await pass(stage, 'an empty table', () => upstreams(stage).length === 0)
  await stage.until('its removal', () => (runtime.calls.includes(`remove ${replica}`) ? true : undefined))
  runtime.list = list
  goOn()
  await pass(stage, 'replica in the table', () => upstreams(stage)[0] === replica)
  assert.notEqual(traffic.table.routes[0]?.upstreams[0]?.address, elsewhere.address)
})

test('B12: only a release that was accepted is kept by its engine', async () => {
  const fakes = fakePlugins()
  fakes.runtime.capabilities = [...fakes.runtime.capabilities, 'keep']
  await using stage = await createDeployStage({ fakes })
  await stage.createApp()
  fakes.runtime.onStart = ({ id }) => fakes.runtime.crash(id)
  fakes.probe.answer = () => ({ healthy: false, detail: 'refused' })
  const { id } = await stage.request('shop')
  await stage.reaches(id, 'failed')
  assert.deepEqual([...fakes.runtime.kept], [])
  fakes.runtime.onStart = () => undefined
  fakes.probe.answer = () => ({ healthy: true, detail: 'well' })
  const { replicas } = await stage.deploy('shop')
  assert.deepEqual([...fakes.runtime.kept], [replicas[0]?.id])
})

test('where the engine starts replicas again by itself, Rivetr does so only when that does not happen', async () => {
  const fakes = fakePlugins()
  fakes.runtime.capabilities = [...fakes.runtime.capabilities, 'keep']
  await using stage = await createDeployStage({ fakes })
  await stage.createApp()
  const { replicas } = await stage.deploy('shop')
  const replica = replicas[0]?.id ?? ''
  fakes.runtime.crash(replica)
  await stage.clock.advance(1_000)
  fakes.runtime.comeBack(replica)
  await stage.clock.advance(20_000)
  assert.equal(starts(stage), 1)
  assert.deepEqual(upstreams(stage), [replica])
  fakes.runtime.crash(replica)
  await pass(stage, 'start', () => starts(stage) === 2)
  await pass(stage, 'replica in the table', () => upstreams(stage)[0] === replica)
})

test('a stop of everything reaches a replica that its engine is about to start again', async () => {
  const fakes = fakePlugins()
  fakes.runtime.capabilities = [...fakes.runtime.capabilities, 'keep']
  await using stage = await createDeployStage({ fakes })
  await stage.createApp()
  const { replicas } = await stage.deploy('shop')
  fakes.runtime.crash(replicas[0]?.id ?? '')
  await stage.kernel.stop('stop-all')
  assert.deepEqual([...fakes.runtime.kept], [])
})

test('a replica that could not be kept at the switch is kept later', async () => {
  const fakes = fakePlugins()
  fakes.runtime.capabilities = [...fakes.runtime.capabilities, 'keep']
  await using stage = await createDeployStage({ fakes })
  await stage.createApp()
  fakes.runtime.failNext('keep', new Error('the engine is busy'))
  await stage.deploy('shop')
  assert.equal(fakes.runtime.kept.size, 0)
  await pass(stage, 'keep', () => fakes.runtime.kept.size === 1)
})

test('a replica that is not back when the next release goes live is not started any more', async () => {
  const { stage, replica } = await liveStage()
  await using _ = stage
  const { runtime } = stage.fakes
  runtime.crash(replica)
  await stage.until('an empty table', () => (upstreams(stage).length === 0 ? true : undefined))
  const { replicas } = await stage.deploy('shop')
  await stage.clock.advance(120_000)
  await stage.until('the one replica', () => (runtime.specs.length === 1 ? true : undefined))
  assert.deepEqual(
    runtime.specs.map(({ id }) => id),
    [replicas[0]?.id],
  )
  assert.deepEqual(upstreams(stage), [replicas[0]?.id])
})

test('a replica that was coming back when Rivetr stopped is brought back by the next boot', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-monitor-'))
  const fakes = fakePlugins()
  const dataDir = join(folder.path, 'data')
  await using first = await createDeployStage({ dataDir, fakes })
  await first.createApp()
  const { replicas } = await first.deploy('shop')
  fakes.runtime.crash(replicas[0]?.id ?? '')
  await first.until('an empty table', () => (upstreams(first).length === 0 ? true : undefined))
  await first.kernel.stop('SIGTERM')

  await using second = await createDeployStage({ dataDir, fakes })
  await second.until('the table', () => (upstreams(second)[0] === replicas[0]?.id ? true : undefined))
})

test('a replica that ends again and again is a crash loop, with its exit code, until it has lived well', async () => {
  const { stage, replica } = await liveStage()
  await using _ = stage
  const { runtime } = stage.fakes
  const app = () => stage.apps.get(tester, 'shop')
  const fall = async () => {
    const before = starts(stage)
    runtime.crash(replica, { exitCode: 137, oom: true })
    await pass(stage, 'start', () => starts(stage) > before, 1_000)
    await stage.until('the table', () => (upstreams(stage).length === 1 ? true : undefined))
  }
  assert.deepEqual([(await app()).state, (await app()).stateReason], ['running', undefined])
  await fall()
  assert.deepEqual(
    [(await app()).state, (await app()).stateReason],
    ['running', 'web.1 ended once, with exit code 137 (out of memory)'],
  )
  await fall()
  await fall()
  const looping = await app()
  assert.equal(looping.state, 'crash-loop')
  assert.equal(
    looping.stateReason,
    'web.1 ended 3 times in a row, the last time with exit code 137 (out of memory)',
  )
  const [live] = (await stage.deployments.list(tester, 'shop')).items
  const { times, exitCode, oom } = live?.replicas[0]?.fallen ?? {}
  assert.deepEqual({ times, exitCode, oom }, { times: 3, exitCode: 137, oom: true })
  await stage.clock.advance(121_000)
  await stage.until('its pardon', async () => {
    await stage.clock.advance(5_000)
    return (await app()).state === 'running' ? true : undefined
  })
  assert.equal((await app()).stateReason, undefined)
})

const liveness = { intervalMs: 10_000, failures: 3 }

test('a live replica that is unwell so often in a row leaves the table and is started anew; the reason is told', async () => {
  const { stage, replica, exits, changes } = await liveStage({ health: { liveness } })
  await using _ = stage
  const unwell = () => ({ healthy: false, detail: 'status 500' })
  const asked = () => stage.fakes.probe.targets.length
  const wentDown = () => stage.fakes.runtime.calls.includes(`stop ${replica}`)
  stage.fakes.probe.answer = unwell
  const before = asked()
  await pass(stage, 'two questions', () => asked() >= before + 2, 1_000)
  stage.fakes.probe.answer = () => ({ healthy: true, detail: 'well' })
  await pass(stage, 'a good answer', () => asked() >= before + 3, 1_000)
  assert.equal(wentDown(), false)

  stage.fakes.probe.answer = () =>
    upstreams(stage).length === 0 ? { healthy: true, detail: 'well' } : unwell()
  await pass(stage, 'its end', wentDown, 1_000)
  assert.ok(asked() >= before + 6)
  await pass(
    stage,
    'replica in the table',
    () => starts(stage) === 2 && upstreams(stage)[0] === replica,
    1_000,
  )
  await stage.until('both changes', () => (changes.length === 2 ? true : undefined))
  assert.deepEqual(
    changes.map(({ from, to }) => `${from} → ${to}`),
    ['ready → starting', 'starting → ready'],
  )
  assert.equal(changes[0]?.detail, 'status 500')
  assert.deepEqual(exits, [])
  const { state, stateReason } = await stage.apps.get(tester, 'shop')
  assert.deepEqual([state, stateReason], ['running', 'web.1 ended once, because it was unwell: status 500'])
})

test('a live replica is not asked where its app does not want it', async () => {
  const { stage } = await liveStage()
  await using _ = stage
  const asked = stage.fakes.probe.targets.length
  for (let count = 0; count < 10; count++) await stage.clock.advance(10_000)
  assert.equal(stage.fakes.probe.targets.length, asked)
})

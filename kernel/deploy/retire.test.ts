import assert from 'node:assert/strict'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createDeployStage, type DeployStage, fakePlugins, tester } from '@rivetr/testing'

const monitorMs = 5_000

function running({ fakes }: DeployStage): string[] {
  return fakes.runtime.runningSpecs.map(({ deployment }) => deployment)
}

function only(stage: DeployStage, deployment: string) {
  return stage.until('end of the old replicas', () =>
    running(stage).every((each) => each === deployment) ? true : undefined,
  )
}

/** The times at which a replica is asked to stop, from now on. */
function stopTimes({ fakes: { runtime }, clock }: DeployStage, replica: string): number[] {
  const times: number[] = []
  const stop = runtime.stop.bind(runtime)
  runtime.stop = (id) => {
    if (id === replica) times.push(clock.now())
    return stop(id)
  }
  return times
}

/** Lets time pass until the old replicas are gone. */
function endsWith(stage: DeployStage, deployment: string) {
  return stage.until('end of the old replicas', async () => {
    await stage.clock.advance(1_000)
    return stage.fakes.runtime.specs.every((each) => each.deployment === deployment) ? true : undefined
  })
}

test('the new release serves before the old one is asked to end', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const first = await stage.deploy('shop')
  const second = await stage.deploy('shop')
  await only(stage, second.id)
  const retired = await stage.deployments.get(tester, first.id)
  assert.equal(retired.state, 'retired')
  assert.deepEqual(
    retired.replicas.map(({ state }) => state),
    ['stopped'],
  )
  const { calls } = stage.fakes.traffic
  assert.equal(calls.filter((call) => call.startsWith('release')).length, 2)
})

test('an old replica is not stopped while requests are on their way to it', async () => {
  await using stage = await createDeployStage({ config: { kernel: { drainMs: 30_000 } } })
  await stage.createApp()
  const first = await stage.deploy('shop')
  const replica = first.replicas[0]?.id ?? ''
  stage.fakes.traffic.inFlight = { [replica]: 2 }
  const second = await stage.deploy('shop')
  await stage.clock.advance(10_000)
  assert.deepEqual(running(stage), [first.id, second.id])
  stage.fakes.traffic.inFlight = {}
  await stage.until('end', async () => {
    await stage.clock.advance(100)
    return running(stage).length === 1 ? true : undefined
  })
  assert.deepEqual(running(stage), [second.id])
})

test('after the drain time an old replica is stopped, whatever it still serves', async () => {
  await using stage = await createDeployStage({ config: { kernel: { drainMs: 30_000 } } })
  await stage.createApp()
  const first = await stage.deploy('shop')
  stage.fakes.traffic.inFlight = { [first.replicas[0]?.id ?? '']: 1 }
  const second = await stage.deploy('shop')
  const switchedAt = stage.clock.now()
  await stage.until('end', async () => {
    await stage.clock.advance(500)
    return running(stage).length === 1 ? true : undefined
  })
  assert.ok(stage.clock.now() - switchedAt >= 30_000, 'not before the drain time')
  assert.ok(stage.clock.now() - switchedAt < 35_000, 'soon after the drain time')
  assert.deepEqual(running(stage), [second.id])
})

test('the endpoint of a draining replica is not given out again', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const first = await stage.deploy('shop')
  stage.fakes.traffic.inFlight = { [first.replicas[0]?.id ?? '']: 1 }
  const taken: number[] = []
  const { runtime } = stage.fakes
  const allot = runtime.allot.bind(runtime)
  await stage.deploy('shop')
  runtime.allot = (wanted) => {
    taken.push(...wanted.taken.map(({ port }) => port))
    return allot(wanted)
  }
  await stage.deploy('shop')
  assert.ok(taken.includes(first.replicas[0]?.endpoint?.port ?? 0))
})

test('a replica that could not be stopped is tried again by itself, after a pause that doubles up to a minute', async () => {
  await using stage = await createDeployStage({ config: { kernel: { monitorIntervalMs: monitorMs } } })
  await stage.createApp()
  await stage.deploy('shop')
  const { clock, fakes, kernel } = stage
  for (let failures = 0; failures < 8; failures++) fakes.runtime.failNext('stop', new Error('busy'))
  const pauses: number[] = []
  const sleep = clock.sleep.bind(clock)
  clock.sleep = (ms, signal) => {
    if (ms >= 1_000 && ms !== monitorMs) pauses.push(ms)
    return sleep(ms, signal)
  }
  const second = await stage.deploy('shop')
  await endsWith(stage, second.id)
  assert.deepEqual(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
  const said = kernel.log.filter(({ msg }) => /could not be retired/.test(String(msg)))
  assert.equal(said.length, 1, 'the same trouble is told once')
  const { steps } = await stage.until('end of the step', async () => {
    const deployment = await stage.deployments.get(tester, second.id)
    return deployment.steps.every(({ outcome }) => outcome === 'done') ? deployment : undefined
  })
  assert.equal(steps.filter(({ step }) => step === 'retire').length, 1)
})

test('an engine that hangs while a replica is stopped is asked again, and the next deployment does not wait for it', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const first = await stage.deploy('shop')
  const times = stopTimes(stage, first.replicas[0]?.id ?? '')
  const { runtime } = stage.fakes
  const stop = runtime.stop.bind(runtime)
  runtime.stop = async (id) => {
    await stop(id)
    if (times.length === 1) await new Promise(() => {})
  }
  await stage.deploy('shop')
  await stage.until('first try', () => times[0])
  const third = await stage.deploy('shop')
  await stage.until('second try', async () => {
    await stage.clock.advance(500)
    return times[1]
  })
  await endsWith(stage, third.id)
})

test('a deployment that goes live while an old replica is tried again does not ask for it besides', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const first = await stage.deploy('shop')
  const times = stopTimes(stage, first.replicas[0]?.id ?? '')
  stage.fakes.runtime.failNext('stop', new Error('busy'))
  const second = await stage.deploy('shop')
  await stage.until('first try', () => times[0])
  const third = await stage.deploy('shop')
  await stage.until('end of the second release', () =>
    running(stage).includes(second.id) ? undefined : true,
  )
  assert.equal(times.length, 1)
  await endsWith(stage, third.id)
  assert.equal(times.length, 2)
})

for (const how of ['fails', 'hangs'] as const) {
  test(`Rivetr stops at once while a stop ${how}, and its next boot retires the replica`, async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-retire-'))
    const fakes = fakePlugins()
    const dataDir = join(folder.path, 'data')
    await using before = await createDeployStage({ dataDir, fakes })
    await before.createApp()
    const first = await before.deploy('shop')
    const times = stopTimes(before, first.replicas[0]?.id ?? '')
    let goOn = () => {}
    if (how === 'hangs') goOn = fakes.runtime.hang('stop')
    else fakes.runtime.failNext('stop', new Error('busy'))
    const second = await before.deploy('shop')
    await before.until('first try', () => times[0])
    await before.kernel.stop('SIGTERM')
    goOn()

    await using after = await createDeployStage({ dataDir, fakes })
    await only(after, second.id)
  })
}

test('the removal of an app ends the tries', async () => {
  await using stage = await createDeployStage()
  const { id } = await stage.createApp()
  const first = await stage.deploy('shop')
  const times = stopTimes(stage, first.replicas[0]?.id ?? '')
  stage.fakes.runtime.failNext('stop', new Error('busy'))
  await stage.deploy('shop')
  await stage.until('first try', () => times[0])
  await stage.apps.remove(tester, id)
  await stage.clock.advance(60_000)
  await stage.kernel.stop()
  assert.equal(times.length, 1)
})

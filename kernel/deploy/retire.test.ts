import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDeployStage, type DeployStage, tester } from '@rivetr/testing'

function running({ fakes }: DeployStage): string[] {
  return fakes.runtime.runningSpecs.map(({ deployment }) => deployment)
}

function only(stage: DeployStage, deployment: string) {
  return stage.until('end of the old replicas', () =>
    running(stage).every((each) => each === deployment) ? true : undefined,
  )
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

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DeploymentState, wait } from '@rivetr/sdk'
import { createDeployStage, type DeployStage, tester, testPlugin } from '@rivetr/testing'

/** Lets a deployment hang in a state; returns what lets it go on. */
const hangs: readonly (readonly [DeploymentState, (stage: DeployStage) => void])[] = [
  ['fetching', ({ fakes }) => fakes.source.hang()],
  ['building', ({ fakes }) => fakes.builder.hang()],
  ['preparing', ({ fakes }) => fakes.runtime.hang('run')],
  ['starting', ({ fakes }) => fakes.runtime.hang('start')],
  [
    'checking',
    ({ fakes }) => {
      fakes.probe.answer = () => ({ healthy: false, detail: 'not yet' })
    },
  ],
]

for (const [state, hang] of hangs) {
  test(`a deployment that is ${state} is cancelled, and leaves nothing`, async () => {
    await using stage = await createDeployStage()
    await stage.createApp({ releaseCommand: ['migrate'] })
    hang(stage)
    const { id } = await stage.request('shop')
    await stage.reaches(id, state)
    const cancelled = await stage.deployments.cancel(tester, id)
    assert.equal(cancelled.state, 'cancelled')
    assert.equal(cancelled.reason, 'cancelled by system:tester')
    assert.equal(cancelled.error, undefined)
    assert.equal(cancelled.steps.at(-1)?.outcome, 'cancelled')
    assert.deepEqual(stage.fakes.runtime.specs, [])
    assert.deepEqual(
      cancelled.replicas.filter((replica) => replica.state !== 'stopped'),
      [],
    )
    assert.equal((await stage.deployments.cancel(tester, id)).state, 'cancelled')
  })
}

test('a queued deployment is cancelled without having run', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  stage.fakes.builder.hang()
  const first = await stage.request('shop')
  await stage.reaches(first.id, 'building')
  const second = await stage.request('shop')
  assert.equal((await stage.deployments.cancel(tester, second.id)).state, 'cancelled')
  assert.equal(stage.fakes.source.fetched.length, 1)
  assert.equal((await stage.deployments.get(tester, first.id)).state, 'building')
})

test('a deployment that waits for a promotion is cancelled with its replicas', async () => {
  const keeper = testPlugin(
    { name: 'gate-keeper' },
    { setup: (ctx) => ctx.tap('preSwitch', () => wait('needs a promotion')) },
  )
  await using stage = await createDeployStage({ plugins: [keeper] })
  await stage.createApp()
  const { id } = await stage.reaches((await stage.request('shop')).id, 'waiting')
  assert.equal(stage.fakes.runtime.runningSpecs.length, 1)
  assert.equal((await stage.deployments.cancel(tester, id)).state, 'cancelled')
  assert.deepEqual(stage.fakes.runtime.specs, [])
})

test('a deployment that hangs in a gate is cancelled, not failed', async () => {
  const asked = Promise.withResolvers<void>()
  const keeper = testPlugin(
    { name: 'gate-keeper' },
    {
      setup: (ctx) =>
        ctx.tap('preDeploy', () => {
          asked.resolve()
          return new Promise<never>(() => undefined)
        }),
    },
  )
  await using stage = await createDeployStage({ plugins: [keeper] })
  await stage.createApp()
  const { id } = await stage.request('shop')
  await asked.promise
  assert.equal((await stage.deployments.cancel(tester, id)).state, 'cancelled')
})

test('a build that waits for its turn is cancelled, and gives its place up', async () => {
  await using stage = await createDeployStage({ config: { kernel: { maxBuilds: 1 } } })
  for (const name of ['one', 'two', 'three']) await stage.createApp({ name })
  const goOn = stage.fakes.builder.hang()
  const [one, two, three] = [
    await stage.reaches((await stage.request('one')).id, 'building'),
    await stage.reaches((await stage.request('two')).id, 'fetching'),
    await stage.reaches((await stage.request('three')).id, 'fetching'),
  ]
  await stage.until('a place in the queue of builds', async () =>
    (await stage.logOf(two.id)).find((line) => line.includes('waiting for a turn')),
  )
  assert.equal((await stage.deployments.cancel(tester, two.id)).state, 'cancelled')
  goOn()
  await stage.reaches(one.id, 'live')
  await stage.reaches(three.id, 'live')
})

test('past the commit point a cancel is a conflict, and the deployment becomes live', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const old = await stage.deploy('shop')
  stage.fakes.traffic.failNext('apply')
  const { id } = await stage.request('shop')
  await stage.reaches(id, 'switching')
  await assert.rejects(stage.deployments.cancel(tester, id), {
    code: 'conflict',
    message: /roll back instead/,
  })
  await stage.until('live', async () => {
    await stage.clock.advance(1_000)
    return stage.reachedEnd(id)
  })
  assert.equal((await stage.deployments.get(tester, id)).state, 'live')
  assert.equal((await stage.deployments.get(tester, old.id)).state, 'retired')
})

test('past the commit point no deadline ends the switch: it goes on until the edges took the table', async () => {
  await using stage = await createDeployStage({ config: { kernel: { switchTimeoutMs: 1_000 } } })
  await stage.createApp()
  await stage.deploy('shop')
  for (let count = 0; count < 4; count++) stage.fakes.traffic.failNext('apply')
  const { id } = await stage.request('shop')
  await stage.reaches(id, 'switching')
  await stage.until('live', async () => {
    await stage.clock.advance(500)
    return stage.reachedEnd(id)
  })
  await stage.until('end of the old replica', async () => {
    await stage.clock.advance(100)
    return stage.fakes.runtime.specs.length === 1 ? true : undefined
  })
  assert.equal(stage.fakes.runtime.specs[0]?.deployment, id)
  assert.equal((await stage.logOf(id)).at(-1), 'live')
})

test('a cancel that comes at the very moment of the switch does no harm', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const { traffic } = stage.fakes
  const apply = traffic.apply.bind(traffic)
  let cancelling: Promise<unknown> | undefined
  let id = ''
  traffic.hold = async () => {
    // The state is still `checking`, so the cancel is let in; the commit is made before it can do anything.
    cancelling = new Promise((resolve) => setImmediate(resolve)).then(() =>
      stage.deployments.cancel(tester, id),
    )
    cancelling.catch(() => undefined)
  }
  traffic.apply = async (...table) => {
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    await apply(...table)
  }
  id = (await stage.request('shop')).id
  const end = await stage.until('end', () => stage.reachedEnd(id))
  await cancelling?.catch((error: { code: string }) => assert.equal(error.code, 'conflict'))
  const running = stage.fakes.runtime.runningSpecs.map((spec) => spec.deployment)
  const routed = traffic.table.routes.flatMap(({ upstreams }) => upstreams.map(({ replica }) => replica))
  if (end.state === 'cancelled') assert.deepEqual([running, routed], [[], []])
  else {
    assert.equal(end.state, 'live')
    assert.deepEqual(running, [id])
    assert.equal(routed.length, 1)
  }
})

test('what has ended cannot be cancelled', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const { id } = await stage.deploy('shop')
  await assert.rejects(stage.deployments.cancel(tester, id), { code: 'conflict', message: /is live/ })
})

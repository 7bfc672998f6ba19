import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Tap, wait } from '@rivetr/sdk'
import { createDeployStage, tester, testPlugin } from '@rivetr/testing'

function gate<N extends 'preDeploy' | 'preBuild' | 'preStart' | 'preSwitch'>(hook: N, tap: Tap<N>) {
  return testPlugin({ name: 'gate-keeper' }, { setup: (ctx) => ctx.tap(hook, tap) })
}

for (const [hook, step] of [
  ['preDeploy', undefined],
  ['preBuild', 'build'],
  ['preStart', 'start'],
  ['preSwitch', undefined],
] as const) {
  test(`a tap of ${hook} that throws refuses the deployment, by the names of plugin and hook`, async () => {
    const refuses = () => {
      throw new Error('not on a Friday')
    }
    await using stage = await createDeployStage({ plugins: [gate(hook, refuses)] })
    await stage.createApp()
    const failed = await stage.reaches((await stage.request('shop')).id, 'failed')
    assert.equal(failed.error?.code, 'refused')
    assert.equal(failed.reason, `plugin gate-keeper refused (${hook}): not on a Friday`)
    assert.equal(failed.error?.step, step)
    assert.deepEqual(stage.fakes.runtime.specs, [])
  })
}

test('a deployment waits at preDeploy without a turn, and goes on when its time has come', async () => {
  let open = false
  const keeper = gate('preDeploy', () =>
    open ? undefined : wait('after the backup', '2026-01-01T00:02:00.000Z'),
  )
  await using stage = await createDeployStage({ plugins: [keeper] })
  await stage.createApp()
  const waiting = await stage.reaches((await stage.request('shop')).id, 'waiting')
  assert.equal(waiting.reason, 'after the backup')
  assert.equal(waiting.resumeAt, '2026-01-01T00:02:00.000Z')
  assert.deepEqual(stage.fakes.source.fetched, [])
  open = true
  await stage.clock.advance(60_000)
  assert.equal((await stage.deployments.get(tester, waiting.id)).state, 'waiting')
  await stage.clock.advance(60_001)
  const live = await stage.reaches(waiting.id, 'live')
  assert.equal(live.reason, undefined)
  assert.equal(live.resumeAt, undefined)
})

test('a deployment that waits for a promotion goes on when it is promoted, and runs nothing twice', async () => {
  await using stage = await createDeployStage({
    plugins: [gate('preSwitch', () => wait('needs a promotion'))],
  })
  await stage.createApp({ releaseCommand: ['migrate'] })
  const waiting = await stage.reaches((await stage.request('shop')).id, 'waiting')
  assert.equal(waiting.reason, 'needs a promotion')
  assert.deepEqual(stage.fakes.traffic.table.routes[0]?.upstreams, [])
  const [replica] = stage.fakes.runtime.runningSpecs
  await stage.deployments.promote(tester, waiting.id)
  const live = await stage.reaches(waiting.id, 'live')
  assert.deepEqual(
    live.replicas.map(({ id }) => id),
    [replica?.id],
  )
  const { calls } = stage.fakes.runtime
  assert.equal(calls.filter((call) => call === 'run migrate').length, 1)
  assert.equal(stage.fakes.builder.requests.length, 1)
})

test('a promotion at one gate is none at the next', async () => {
  const keeper = testPlugin(
    { name: 'gate-keeper' },
    {
      setup(ctx) {
        ctx.tap('preDeploy', () => wait('first'))
        ctx.tap('preSwitch', () => wait('second'))
      },
    },
  )
  await using stage = await createDeployStage({ plugins: [keeper] })
  await stage.createApp()
  const { id } = await stage.request('shop')
  await stage.until('the first gate', async () =>
    (await stage.reaches(id, 'waiting')).reason === 'first' ? true : undefined,
  )
  await stage.deployments.promote(tester, id)
  await stage.until('the second gate', async () =>
    (await stage.deployments.get(tester, id)).reason === 'second' ? true : undefined,
  )
  await stage.deployments.promote(tester, id)
  await stage.reaches(id, 'live')
})

test('only a waiting deployment can be promoted', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const { id } = await stage.deploy('shop')
  await assert.rejects(stage.deployments.promote(tester, id), { code: 'conflict', message: /is live/ })
})

test('another deployment of the app passes one that waits', async () => {
  let held: string | undefined
  const keeper = gate('preDeploy', ({ id }) => {
    held ??= id
    return id === held ? wait('not yet') : undefined
  })
  await using stage = await createDeployStage({ plugins: [keeper] })
  await stage.createApp()
  const waiting = await stage.reaches((await stage.request('shop')).id, 'waiting')
  await stage.deploy('shop')
  assert.equal((await stage.deployments.get(tester, waiting.id)).state, 'waiting')
})

test('a tap of preSwitch that hangs is given up at its deadline', async () => {
  const asked = Promise.withResolvers<void>()
  const keeper = gate('preSwitch', () => {
    asked.resolve()
    return new Promise<never>(() => undefined)
  })
  await using stage = await createDeployStage({
    plugins: [keeper],
    config: { kernel: { switchTimeoutMs: 2_000 } },
  })
  await stage.createApp()
  const { id } = await stage.request('shop')
  await asked.promise
  await stage.clock.advance(2_000)
  const failed = await stage.reaches(id, 'failed')
  assert.match(failed.reason ?? '', /preSwitch.*2 s/)
})

test('an engine that is away makes deployments wait with its reason, and they go on by themselves', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const old = await stage.deploy('shop')
  stage.fakes.runtime.away = 'cannot connect to the Docker daemon'
  const waiting = await stage.reaches((await stage.request('shop')).id, 'waiting')
  assert.equal(waiting.reason, 'the runtime fake is away: cannot connect to the Docker daemon')
  assert.equal(stage.fakes.traffic.table.routes[0]?.upstreams.length, 1)
  assert.equal((await stage.deployments.get(tester, old.id)).state, 'live')
  stage.fakes.runtime.away = undefined
  await stage.clock.advance(15_001)
  await stage.reaches(waiting.id, 'live')
})

test('an engine that hangs is as good as away', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const asked = Promise.withResolvers<void>()
  const there = await stage.fakes.runtime.detect()
  const answer = Promise.withResolvers<typeof there>()
  stage.fakes.runtime.detect = () => {
    asked.resolve()
    return answer.promise
  }
  const { id } = await stage.request('shop')
  await asked.promise
  await stage.clock.advance(10_000)
  answer.resolve(there)
  const waiting = await stage.reaches(id, 'waiting')
  assert.match(waiting.reason ?? '', /the runtime fake is away: its answer did not end within 10 s/)
})

test('envResolve and specResolve change what is built and run, and secrets that they put in are masked', async () => {
  const changer = testPlugin(
    { name: 'changer' },
    {
      setup(ctx) {
        ctx.tap('envResolve', (env, { for: goal }) => ({
          ...env,
          GOAL: { value: goal, secret: false },
          LINKED: { value: 'postgres://linked', secret: true },
        }))
        ctx.tap('specResolve', (spec) => ({ ...spec, replicas: 2 }))
      },
    },
  )
  await using stage = await createDeployStage({ plugins: [changer] })
  await stage.createApp()
  stage.fakes.builder.lines = ['connecting to postgres://linked']
  const { id } = await stage.deploy('shop')
  assert.equal(stage.fakes.builder.requests[0]?.env.GOAL?.value, 'build')
  assert.deepEqual(
    stage.fakes.runtime.runningSpecs.map(({ env }) => [env.GOAL, env.LINKED]),
    [
      ['run', 'postgres://linked'],
      ['run', 'postgres://linked'],
    ],
  )
  const log = await stage.logOf(id)
  assert.ok(log.includes('connecting to ********'))
  assert.ok(!log.join('\n').includes('postgres://linked'))
})

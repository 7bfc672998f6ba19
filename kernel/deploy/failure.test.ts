import assert from 'node:assert/strict'
import { test } from 'node:test'
import { envChange, RivetrError } from '@rivetr/sdk'
import { createDeployStage, type DeployStage, tester, testPlugin } from '@rivetr/testing'

/** What every failed deployment must leave: the release before it serves, and nothing of its own is there. */
async function assertOldServes(stage: DeployStage, old: { id: string }, failed: { id: string }) {
  const { runtime, traffic } = stage.fakes
  assert.deepEqual(
    runtime.specs.map(({ deployment }) => deployment),
    [old.id],
  )
  const [route] = traffic.table.routes
  assert.deepEqual(
    route?.upstreams.map(({ replica }) => replica),
    runtime.specs.map(({ id }) => id),
  )
  assert.equal(traffic.held.size, 0)
  assert.deepEqual(
    (await stage.kernel.kernel.parts.ledger.replicas({ deployment: failed.id }))
      .map(({ state }) => state)
      .filter((state) => state !== 'stopped' && state !== 'crashed'),
    [],
  )
}

test('a build that fails leaves the old release serving, and its last lines in the record', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const old = await stage.deploy('shop')
  stage.fakes.builder.lines = ['step 1', 'npm ERR! missing script']
  stage.fakes.builder.failNext()
  const failed = await stage.reaches((await stage.request('shop')).id, 'failed')
  assert.deepEqual(failed.error, {
    code: 'build_failed',
    message: 'the build ended with exit code 1',
    step: 'build',
  })
  assert.deepEqual(failed.lastLines.slice(-2), ['step 1', 'npm ERR! missing script'])
  assert.equal(failed.steps.at(-1)?.outcome, 'failed')
  assert.equal(failed.release, undefined)
  await assertOldServes(stage, old, failed)
})

test('a replica that cannot be started fails the deployment', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const old = await stage.deploy('shop')
  stage.fakes.runtime.failNext('start', new RivetrError('replica_failed', 'no such command'))
  const failed = await stage.reaches((await stage.request('shop')).id, 'failed')
  assert.equal(failed.error?.code, 'replica_failed')
  assert.equal(failed.error?.step, 'start')
  await assertOldServes(stage, old, failed)
})

test('a replica that crashes while it is checked fails the deployment at once, with exit code and last lines', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const old = await stage.deploy('shop')
  stage.fakes.runtime.onStart = ({ id }) => {
    stage.fakes.runtime.print(id, 'connecting', 'cannot reach the database')
    stage.fakes.runtime.crash(id, { exitCode: 78, oom: false })
  }
  stage.fakes.probe.answer = () => ({ healthy: false, detail: 'connection refused' })
  const failed = await stage.reaches((await stage.request('shop')).id, 'failed')
  assert.equal(failed.error?.message, 'web.1 ended with exit code 78')
  assert.deepEqual(failed.lastLines, ['connecting', 'cannot reach the database'])
  assert.deepEqual(
    failed.replicas.map(({ state, exitCode }) => [state, exitCode]),
    [['crashed', 78]],
  )
  await assertOldServes(stage, old, failed)
})

test('U24: what a replica or an error says of a secret, of now or before, is blotted out of the record and of every log', async () => {
  await using stage = await createDeployStage()
  const secret = (value: string) => envChange.parse({ set: { TOKEN: { value, secret: true } } })
  await stage.createApp({ env: { TOKEN: { value: 'canary-one', secret: true } } })
  await stage.apps.changeEnv(tester, 'shop', secret('canary-two'))
  await stage.deploy('shop')
  stage.fakes.runtime.onStart = ({ id }) => {
    stage.fakes.runtime.print(id, 'cannot log in with canary-two, nor with canary-one')
    stage.fakes.runtime.crash(id, { exitCode: 1, oom: false })
  }
  stage.fakes.probe.answer = () => ({ healthy: false, detail: 'connection refused' })
  const crashed = await stage.reaches((await stage.request('shop')).id, 'failed')
  assert.deepEqual(crashed.lastLines, ['cannot log in with ********, nor with ********'])
  stage.fakes.builder.failNext(new RivetrError('build_failed', 'npm: canary-two is no token'))
  const failed = await stage.reaches((await stage.request('shop')).id, 'failed')
  assert.equal(failed.reason, 'npm: ******** is no token')
  const told = [crashed, failed, await stage.logOf(failed.id), stage.kernel.log]
  assert.doesNotMatch(JSON.stringify(told), /canary/)
})

test('a replica that was ended by the memory limit is said to be', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  stage.fakes.runtime.onStart = ({ id }) => stage.fakes.runtime.crash(id, { exitCode: 137, oom: true })
  stage.fakes.probe.answer = () => ({ healthy: false, detail: 'connection refused' })
  const failed = await stage.reaches((await stage.request('shop')).id, 'failed')
  assert.match(failed.reason ?? '', /exit code 137 \(out of memory\)/)
  assert.equal(failed.replicas[0]?.oom, true)
})

test('a replica that never becomes healthy fails at its deadline, with the last answer of the probe', async () => {
  await using stage = await createDeployStage()
  await stage.createApp({ health: { path: '/healthz', deadlineMs: 5_000 } })
  const old = await stage.deploy('shop')
  stage.fakes.probe.answer = () => ({ healthy: false, detail: 'GET /healthz answered 503' })
  const { id } = await stage.request('shop')
  await stage.reaches(id, 'checking')
  const failed = await stage.until('end', async () => {
    await stage.clock.advance(500)
    return stage.reachedEnd(id)
  })
  assert.equal(failed.state, 'failed')
  assert.equal(failed.error?.code, 'unhealthy')
  assert.equal(failed.reason, 'web.1 did not become healthy within 5 s: GET /healthz answered 503')
  await assertOldServes(stage, old, failed)
})

for (const [refused, sockets, hint] of [
  [true, [{ address: '0.0.0.0', port: 8080 }], ' (port 20001 is closed, 8080 is open)'],
  [true, [{ address: '127.0.0.1', port: 20_001 }], ''],
  [true, undefined, ''],
  [false, [{ address: '0.0.0.0', port: 8080 }], ''],
] as const) {
  test(`G10: a replica that ${refused ? 'takes no connections' : 'answers wrongly'} and listens on ${sockets?.[0]?.port} is told with the hint "${hint}"`, async () => {
    await using stage = await createDeployStage()
    await stage.createApp({ health: { path: '/healthz', deadlineMs: 5_000 } })
    stage.fakes.probe.answer = () => ({ healthy: false, detail: 'no', refused })
    stage.fakes.runtime.sockets = sockets?.map((socket) => ({ ...socket }))
    const { id } = await stage.request('shop')
    await stage.reaches(id, 'checking')
    const failed = await stage.until('end', async () => {
      await stage.clock.advance(500)
      return stage.reachedEnd(id)
    })
    assert.equal(failed.reason, `web.1 did not become healthy within 5 s: no${hint}`)
  })
}

test('one replica of two that fails leaves no row of the other that looks ready', async () => {
  await using stage = await createDeployStage()
  await stage.createApp({ processes: { web: { replicas: 2 } } })
  const old = await stage.deploy('shop')
  const release = Promise.withResolvers<void>()
  let first: string | undefined
  stage.fakes.probe.answer = async ({ replica }) => {
    first ??= replica
    if (replica === first) throw new Error('the probe is broken')
    await release.promise
    return { healthy: true, detail: 'late, but well' }
  }
  const failed = await stage.reaches((await stage.request('shop')).id, 'failed')
  release.resolve()
  await new Promise(setImmediate)
  const rows = await stage.until('rows', () =>
    stage.kernel.kernel.parts.ledger.replicas({ deployment: failed.id }),
  )
  assert.deepEqual(
    rows.map(({ state }) => state),
    ['stopped', 'stopped'],
  )
  assert.equal((await stage.deployments.get(tester, old.id)).state, 'live')
})

test('a veto of a healthCheck tap keeps a replica from being ready', async () => {
  const sceptic = testPlugin(
    { name: 'sceptic' },
    {
      setup: (ctx) => ctx.tap('healthCheck', () => ({ healthy: false, detail: 'I do not believe it' })),
    },
  )
  await using stage = await createDeployStage({ plugins: [sceptic] })
  await stage.createApp({ health: { deadlineMs: 1_000 } })
  const { id } = await stage.request('shop')
  const failed = await stage.until('end', async () => {
    await stage.clock.advance(500)
    return stage.reachedEnd(id)
  })
  assert.match(failed.reason ?? '', /I do not believe it/)
})

test('a step that outlasts its deadline fails, and what it goes on doing starts nothing any more', async () => {
  await using stage = await createDeployStage({ config: { kernel: { startTimeoutMs: 1_000 } } })
  await stage.createApp({ processes: { web: { replicas: 2 } } })
  const { runtime } = stage.fakes
  const slow = Promise.withResolvers<void>()
  const start = runtime.start.bind(runtime)
  runtime.start = async (spec) => {
    await slow.promise // ignores its signal
    await start(spec, AbortSignal.timeout(5_000))
  }
  const { id } = await stage.request('shop')
  await stage.reaches(id, 'starting')
  await stage.until(
    'row',
    async () => (await stage.kernel.kernel.parts.ledger.replicas({ deployment: id }))[0],
  )
  await stage.clock.advance(1_000)
  const failed = await stage.reaches(id, 'failed')
  assert.equal(failed.error?.code, 'timed_out')
  assert.match(failed.reason ?? '', /the step start did not end within 1 s/)
  slow.resolve()
  await stage.until('first start', () => runtime.calls.find((call) => call === 'start web'))
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
  assert.equal(runtime.calls.filter((call) => call === 'start web').length, 1)
  assert.equal((await stage.kernel.kernel.parts.ledger.replicas({ deployment: id })).length, 1)
})

test('a source that does not hold the folder of the app says which setting is wrong', async () => {
  await using stage = await createDeployStage()
  await stage.createApp({ source: { url: 'https://git.test/shop.git', directory: 'services/shop' } })
  const failed = await stage.reaches((await stage.request('shop')).id, 'failed')
  assert.equal(failed.error?.code, 'source_failed')
  assert.match(failed.reason ?? '', /services\/shop.*source\.directory/)
})

test('without a builder that understands the source, the builders that were asked are named', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  stage.fakes.builder.detected = undefined
  stage.fakes.folderBuilder.detected = undefined
  const failed = await stage.reaches((await stage.request('shop')).id, 'failed')
  assert.match(failed.reason ?? '', /no builder .*asked: image, folder/)
})

test('a builder of something that the runtime does not run is refused', async () => {
  await using stage = await createDeployStage()
  await stage.createApp({ builder: { kind: 'image' } })
  stage.fakes.runtime.accepts = ['folder']
  const failed = await stage.reaches((await stage.request('shop')).id, 'failed')
  assert.match(failed.reason ?? '', /builder image makes oci, which the runtime fake does not run/)
})

test('deployFailed is told once everything was cleaned', async () => {
  const told: { step: string | undefined; left: number }[] = []
  await using stage = await createDeployStage({
    plugins: [
      testPlugin(
        { name: 'watcher' },
        {
          setup: (ctx) =>
            ctx.tap('deployFailed', async ({ step, signal }) => {
              assert.equal(signal.aborted, false)
              await Promise.resolve()
              told.push({ step, left: stage.fakes.runtime.specs.length })
            }),
        },
      ),
    ],
  })
  await stage.createApp({ health: { deadlineMs: 1_000 } })
  stage.fakes.runtime.onStart = ({ id }) => stage.fakes.runtime.crash(id)
  stage.fakes.probe.answer = () => ({ healthy: false, detail: 'connection refused' })
  await stage.reaches((await stage.request('shop')).id, 'failed')
  await stage.until('notice', () => told[0])
  assert.deepEqual(told, [{ step: 'check', left: 0 }])
})

test('when traffic cannot be held, nothing is switched and the old release goes on', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const old = await stage.deploy('shop')
  stage.fakes.traffic.failNext('hold')
  const failed = await stage.reaches((await stage.request('shop')).id, 'failed')
  assert.equal(failed.error?.step, 'switch')
  await assertOldServes(stage, old, failed)
})

test('without traffic the switch is refused before anything changes', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const old = await stage.deploy('shop')
  stage.fakes.traffic.failNext('stats')
  const failed = await stage.reaches((await stage.request('shop')).id, 'failed')
  assert.deepEqual(stage.fakes.traffic.calls.filter((call) => call.startsWith('hold')).length, 1)
  await assertOldServes(stage, old, failed)
})

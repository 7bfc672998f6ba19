import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type App, envChange, Releases } from '@rivetr/sdk'
import { createDeployStage, type DeployStage, tester, testPlugin } from '@rivetr/testing'

function setEnv(
  { apps }: DeployStage,
  app: string,
  set: Record<string, { value: string; secret?: boolean }>,
  more: { revokeEarlier?: boolean } = {},
) {
  return apps.changeEnv(tester, app, envChange.parse({ set, ...more }))
}

/** The env of what runs now, without what Rivetr sets. */
function runningEnv({ fakes }: DeployStage): Record<string, string>[] {
  return fakes.runtime.runningSpecs.map(({ env }) =>
    Object.fromEntries(
      Object.entries(env).filter(([name]) => name !== 'PORT' && !name.startsWith('RIVETR_')),
    ),
  )
}

function retired(stage: DeployStage, app: App) {
  return stage.until('end of the old replicas', async () =>
    (await stage.kernel.kernel.parts.ledger.replicas({ app: app.id, state: 'draining' })).length === 0
      ? true
      : undefined,
  )
}

test('a replica gets the env of its release, its port, and what Rivetr says of itself', async () => {
  await using stage = await createDeployStage()
  await stage.createApp({
    env: { COLOUR: { value: 'red' }, TOKEN: { value: 's3cret-s3cret', secret: true } },
  })
  await stage.deploy('shop', { commit: 'c'.repeat(40) })
  const [spec] = stage.fakes.runtime.runningSpecs
  assert.deepEqual(spec?.env, {
    COLOUR: 'red',
    TOKEN: 's3cret-s3cret',
    RIVETR_APP: 'shop',
    RIVETR_RELEASE: 'v1',
    RIVETR_COMMIT: 'c'.repeat(40),
    PORT: String(spec?.endpoint?.port),
  })
})

test('an env edit changes nothing until a restart, which makes a new release of the same image', async () => {
  await using stage = await createDeployStage()
  const app = await stage.createApp({ env: { COLOUR: { value: 'red' } } })
  await stage.deploy('shop')
  await stage.clock.advance(1_000)
  await setEnv(stage, 'shop', { COLOUR: { value: 'blue' } })
  assert.deepEqual(runningEnv(stage), [{ COLOUR: 'red' }])
  assert.equal((await stage.apps.get(tester, 'shop')).restartNeeded, true)
  await stage.clock.advance(1_000)
  const restarted = await stage.deploy('shop', { kind: 'restart' })
  await retired(stage, app)
  assert.equal(restarted.release, 2)
  assert.deepEqual(runningEnv(stage), [{ COLOUR: 'blue' }])
  assert.equal((await stage.apps.get(tester, 'shop')).restartNeeded, false)
  assert.equal(stage.fakes.builder.requests.length, 1)
  const [second, first] = await stage.kernel.get(Releases).list(tester, 'shop')
  assert.deepEqual(second?.artefact, first?.artefact)
})

test('a restart of an app that was never deployed says so', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const failed = await stage.reaches((await stage.request('shop', { kind: 'restart' })).id, 'failed')
  assert.match(failed.reason ?? '', /shop has no release to restart; deploy it first/)
})

test('a rollback brings image, env and settings back together, without a build', async () => {
  await using stage = await createDeployStage()
  const app = await stage.createApp({
    env: { COLOUR: { value: 'red' }, TOKEN: { value: 'the first secret', secret: true } },
    processes: { web: { replicas: 2 } },
  })
  const first = await stage.deploy('shop')
  await stage.apps.update(tester, 'shop', { processes: { web: { replicas: 1 } } })
  await setEnv(stage, 'shop', {
    COLOUR: { value: 'blue' },
    TOKEN: { value: 'the second secret', secret: true },
  })
  await stage.deploy('shop')
  await retired(stage, app)
  assert.deepEqual(runningEnv(stage), [{ COLOUR: 'blue', TOKEN: 'the second secret' }])
  const back = await stage.reaches((await stage.deployments.rollback(tester, first.id)).id, 'live')
  await retired(stage, app)
  assert.equal(back.release, 1)
  assert.equal(back.trigger.kind, 'rollback')
  const old = { COLOUR: 'red', TOKEN: 'the first secret' }
  assert.deepEqual(runningEnv(stage), [old, old])
  assert.equal(stage.fakes.builder.requests.length, 2)
})

test('a secret whose earlier values were revoked comes back as its newest, and the deployment and its log say so', async () => {
  await using stage = await createDeployStage()
  const app = await stage.createApp({
    env: { TOKEN: { value: 'the first secret', secret: true }, OTHER: { value: 'one', secret: true } },
  })
  const first = await stage.deploy('shop')
  await setEnv(stage, 'shop', { OTHER: { value: 'two', secret: true } })
  await setEnv(
    stage,
    'shop',
    { TOKEN: { value: 'the second secret', secret: true } },
    { revokeEarlier: true },
  )
  await stage.deploy('shop')
  await retired(stage, app)
  const asked = await stage.deployments.rollback(tester, first.id)
  assert.equal(asked.trigger.reason, 'back to v1 (revoked, so the newest value is used: TOKEN)')
  const back = await stage.reaches(asked.id, 'live')
  await retired(stage, app)
  assert.deepEqual(runningEnv(stage), [{ OTHER: 'one', TOKEN: 'the second secret' }])
  assert.ok((await stage.logOf(back.id)).some((line) => /TOKEN of release v1 was revoked/.test(line)))
})

test('a live replica whose secret was revoked is started again with the newest value', async () => {
  await using stage = await createDeployStage()
  const app = await stage.createApp({ env: { TOKEN: { value: 'the first secret', secret: true } } })
  await stage.deploy('shop')
  await setEnv(
    stage,
    'shop',
    { TOKEN: { value: 'the second secret', secret: true } },
    { revokeEarlier: true },
  )
  assert.deepEqual(runningEnv(stage), [{ TOKEN: 'the first secret' }])
  const [{ id } = { id: '' }] = stage.fakes.runtime.runningSpecs
  stage.fakes.runtime.crash(id, { exitCode: 1, oom: false })
  await stage.until('the replica in its place', async () => {
    await stage.clock.advance(1_000)
    const [replica] = await stage.kernel.kernel.parts.ledger.replicas({ app: app.id, state: 'ready' })
    return replica !== undefined && stage.fakes.runtime.runningSpecs.length === 1 ? true : undefined
  })
  assert.deepEqual(runningEnv(stage), [{ TOKEN: 'the second secret' }])
  assert.ok(stage.kernel.log.some(({ msg }) => /newest value is used: TOKEN/.test(String(msg))))
})

test('a rollback to an image that is gone is refused before anything stops', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const first = await stage.deploy('shop')
  const second = await stage.deploy('shop')
  const [image] = await stage.fakes.images.list()
  await stage.fakes.images.remove(image?.id ?? '')
  await assert.rejects(stage.deployments.rollback(tester, first.id), {
    code: 'conflict',
    message: /image of release v1 .*is gone/,
  })
  assert.equal((await stage.deployments.get(tester, second.id)).state, 'live')
})

test('an image that goes after a rollback was queued fails it, and the live release stays', async () => {
  let closed = false
  const keeper = testPlugin(
    { name: 'gate-keeper' },
    {
      setup: (ctx) =>
        ctx.tap('preDeploy', async () => {
          if (!closed) return
          const [image] = await stage.fakes.images.list()
          await stage.fakes.images.remove(image?.id ?? '')
        }),
    },
  )
  await using stage = await createDeployStage({ plugins: [keeper] })
  await stage.createApp()
  const first = await stage.deploy('shop')
  const second = await stage.deploy('shop')
  closed = true
  const back = await stage.deployments.rollback(tester, first.id)
  const failed = await stage.reaches(back.id, 'failed')
  assert.equal(failed.error?.step, 'prepare')
  assert.match(failed.reason ?? '', /is gone from the engine/)
  assert.equal((await stage.deployments.get(tester, second.id)).state, 'live')
})

test('there is no rollback to what is live, nor to a deployment without a release', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const live = await stage.deploy('shop')
  await assert.rejects(stage.deployments.rollback(tester, live.id), { message: /v1 is live already/ })
  stage.fakes.builder.failNext()
  const failed = await stage.reaches((await stage.request('shop')).id, 'failed')
  await assert.rejects(stage.deployments.rollback(tester, failed.id), { message: /made no release/ })
})

test('the release command runs once per release, with its env, before any new replica starts', async () => {
  await using stage = await createDeployStage()
  const app = await stage.createApp({
    releaseCommand: ['node', 'migrate.js'],
    env: { DB: { value: 'here' } },
  })
  const { runtime } = stage.fakes
  runtime.oneOffLines = ['migrated 3 tables']
  const first = await stage.deploy('shop')
  assert.deepEqual(runtime.calls.slice(0, 3), ['run node migrate.js', 'allot', 'start web'])
  assert.ok((await stage.logOf(first.id)).includes('migrated 3 tables'))
  await stage.deploy('shop')
  await retired(stage, app)
  await stage.reaches((await stage.deployments.rollback(tester, first.id)).id, 'live')
  await stage.deploy('shop', { kind: 'restart' })
  assert.equal(runtime.calls.filter((call) => call === 'run node migrate.js').length, 2)
})

test('a release command that fails switches nothing', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const old = await stage.deploy('shop')
  await stage.apps.update(tester, 'shop', { releaseCommand: ['migrate'] })
  stage.fakes.runtime.oneOffExit = { exitCode: 3, oom: false }
  stage.fakes.runtime.oneOffLines = ['relation "users" exists already']
  const failed = await stage.reaches((await stage.request('shop')).id, 'failed')
  assert.match(failed.reason ?? '', /release command ended with exit code 3; nothing was switched/)
  assert.equal(failed.lastLines.at(-1), 'relation "users" exists already')
  assert.deepEqual(
    stage.fakes.runtime.specs.map(({ deployment }) => deployment),
    [old.id],
  )
})

test('processes of the source run as the app says: web once, others only when asked for', async () => {
  await using stage = await createDeployStage()
  stage.fakes.builder.processes = {
    web: { command: ['serve'] },
    worker: { command: ['work'] },
    tool: { command: ['x'] },
  }
  await stage.createApp({ processes: { worker: { replicas: 2 } } })
  const { id } = await stage.request('shop')
  await stage.reaches(id, 'checking')
  await stage.clock.advance(1_000)
  await stage.reaches(id, 'live')
  assert.deepEqual(
    stage.fakes.runtime.runningSpecs.map(({ run, endpoint }) => [run.process, endpoint !== undefined]),
    [
      ['web', true],
      ['worker', false],
      ['worker', false],
    ],
  )
})

test('a process without traffic must stay up for a moment', async () => {
  await using stage = await createDeployStage()
  await stage.createApp({ processes: { worker: { command: ['work'] } } })
  const { id } = await stage.request('shop')
  await stage.reaches(id, 'checking')
  const worker = stage.fakes.runtime.runningSpecs.find(({ run }) => run.process === 'worker')
  stage.fakes.runtime.crash(worker?.id ?? '', { exitCode: 2, oom: false })
  await stage.clock.advance(1_000)
  assert.match((await stage.reaches(id, 'failed')).reason ?? '', /worker\.1 ended with exit code 2/)
})

test('no two replicas that stand get the same endpoint', async () => {
  await using stage = await createDeployStage()
  for (const name of ['a', 'b', 'c']) await stage.createApp({ name, processes: { web: { replicas: 3 } } })
  await Promise.all(['a', 'b', 'c'].map((name) => stage.deploy(name)))
  const ports = stage.fakes.runtime.runningSpecs.map(({ endpoint }) => endpoint?.port)
  assert.equal(new Set(ports).size, 9)
})

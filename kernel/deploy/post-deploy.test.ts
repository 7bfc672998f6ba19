import assert from 'node:assert/strict'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createDeployStage, type DeployStage, fakePlugins, tester } from '@rivetr/testing'
import { StepRow } from '../data/entities/index.ts'

/** The deployment once its step postDeploy has ended. */
const ended = (stage: DeployStage, id: string) =>
  stage.until('the end of the post-deploy command', async () => {
    const deployment = await stage.deployments.get(tester, id)
    const step = deployment.steps.find(({ step }) => step === 'postDeploy')
    return step?.endedAt === undefined ? undefined : { ...deployment, outcome: step.outcome }
  })

test('the post-deploy command runs once per release, when it serves', async () => {
  await using stage = await createDeployStage()
  await stage.createApp({ postDeployCommand: ['node', 'warm.js'] })
  const { runtime } = stage.fakes
  runtime.oneOffLines = ['warmed 3 pages']
  const first = await stage.deploy('shop')
  assert.equal((await ended(stage, first.id)).outcome, 'done')
  assert.deepEqual(runtime.calls.slice(0, 2), ['allot', 'start web'])
  assert.equal(runtime.calls.at(-1), 'run node warm.js')
  assert.ok((await stage.logOf(first.id)).includes('warmed 3 pages'))
  const second = await stage.deploy('shop')
  await ended(stage, second.id)
  await stage.reaches((await stage.deployments.rollback(tester, first.id)).id, 'live')
  await stage.deploy('shop', { kind: 'restart' })
  assert.equal(runtime.calls.filter((call) => call === 'run node warm.js').length, 2)
})

test('without a post-deploy command there is no such step, and nothing to tell', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const { id } = await stage.deploy('shop')
  // The next one gets its turn when all of this one's is over.
  await stage.deploy('shop')
  const { steps, reason } = await stage.deployments.get(tester, id)
  assert.ok(!steps.some(({ step }) => step === 'postDeploy'))
  assert.equal(reason, undefined)
})

test('what a runtime says of a post-deploy command shows no secret, and can be stored', async () => {
  await using stage = await createDeployStage()
  const env = { KEY: { value: 's3cret-value', secret: true } }
  await stage.createApp({ postDeployCommand: ['warm'], env })
  stage.fakes.runtime.failNext('run', new Error('no s3cret-value\0 here'))
  const { id } = await stage.deploy('shop')
  const { reason = '' } = await stage.until('the reason', async () => {
    const deployment = await stage.deployments.get(tester, id)
    return deployment.reason === undefined ? undefined : deployment
  })
  assert.match(reason, /^live, but its post-deploy command failed: .*no \*+\ufffd here$/)
  assert.doesNotMatch(JSON.stringify([reason, stage.kernel.log, await stage.logOf(id)]), /s3cret-value/)
})

test('a post-deploy command that fails is told, and the release goes on serving', async () => {
  await using stage = await createDeployStage()
  await stage.createApp({ postDeployCommand: ['warm'] })
  stage.fakes.runtime.oneOffExit = { exitCode: 3, oom: false }
  const { id } = await stage.deploy('shop')
  const { outcome } = await ended(stage, id)
  assert.equal(outcome, 'failed')
  const told = await stage.until('the reason', async () => {
    const deployment = await stage.deployments.get(tester, id)
    return deployment.reason === undefined ? undefined : deployment
  })
  assert.equal(told.state, 'live')
  assert.match(told.reason ?? '', /^live, but its post-deploy command failed: it ended with exit code 3$/)
  assert.equal((await stage.apps.get(tester, 'shop')).state, 'running')
  stage.fakes.runtime.oneOffExit = { exitCode: 0, oom: false }
  await ended(stage, (await stage.deploy('shop')).id)
})

test('a post-deploy command that a stop of Rivetr cuts off is not run again, and that is told', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-post-deploy-'))
  const fakes = fakePlugins()
  const dataDir = join(folder.path, 'data')
  await using first = await createDeployStage({ dataDir, fakes })
  await first.createApp({ postDeployCommand: ['warm'] })
  const goOn = fakes.runtime.hang('run')
  const { id } = await first.deploy('shop')
  await first.until('the command', () => (fakes.runtime.calls.includes('run warm') ? true : undefined))
  await first.kernel.stop('SIGTERM')
  goOn()
  await using second = await createDeployStage({ dataDir, fakes })
  const { state, reason, outcome } = await ended(second, id)
  assert.deepEqual([state, outcome], ['live', 'cancelled'])
  assert.match(reason ?? '', /Rivetr was stopped while its post-deploy command ran/)
  assert.equal(fakes.runtime.calls.filter((call) => call === 'run warm').length, 1)
})

for (const [what, exitCode, told] of [
  ['runs', 0, undefined],
  ['fails', 3, 'live, but its post-deploy command failed: it ended with exit code 3'],
] as const)
  test(`the post-deploy command of a deployment that the boot rolled forward ${what} once, and that is told`, async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-post-deploy-'))
    const fakes = fakePlugins()
    const dataDir = join(folder.path, 'data')
    await using first = await createDeployStage({ dataDir, fakes })
    await first.createApp({ postDeployCommand: ['warm'] })
    fakes.runtime.oneOffExit = { exitCode, oom: false }
    fakes.traffic.failNext('apply')
    const { id } = await first.request('shop')
    await first.reaches(id, 'switching')
    await first.kernel.stop('SIGTERM')
    const next = await (async () => {
      await using second = await createDeployStage({ dataDir, fakes })
      const { outcome } = await ended(second, id)
      assert.equal(outcome, exitCode === 0 ? 'done' : 'failed')
      const { reason } = await second.until('the reason', async () => {
        const deployment = await second.deployments.get(tester, id)
        return deployment.reason === told ? deployment : undefined
      })
      assert.equal(reason, told)
      await second.kernel.stop('SIGTERM')
      return createDeployStage({ dataDir, fakes })
    })()
    await using third = next
    await ended(third, (await third.deploy('shop')).id) // its turn comes after whatever the boot has to do
    assert.equal(fakes.runtime.calls.filter((call) => call === 'run warm').length, 2)
  })

test('a deployment that was cut off between being live and its post-deploy command gets it at the boot', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-post-deploy-'))
  const fakes = fakePlugins()
  const dataDir = join(folder.path, 'data')
  await using first = await createDeployStage({ dataDir, fakes })
  await first.createApp({ postDeployCommand: ['warm'] })
  const { id } = await first.deploy('shop')
  await ended(first, id)
  await first.kernel.kernel.parts.database.rows.nativeDelete(StepRow, { step: 'postDeploy' })
  await first.kernel.stop('SIGTERM')
  await using second = await createDeployStage({ dataDir, fakes })
  assert.equal((await ended(second, id)).outcome, 'done')
  assert.equal(fakes.runtime.calls.filter((call) => call === 'run warm').length, 2)
})

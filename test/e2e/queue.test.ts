import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Deployment } from '@rivetr/sdk'
import { runningReplicas } from '../chaos/running.ts'
import { type ChaosApp, ChaosScene } from '../chaos/scene.ts'
import { until } from '../chaos/until.ts'
import { temporaryFolder } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'

const maxBuilds = 2

describe('the queue, with real builds and restarts', () => {
  let scene: ChaosScene
  let app: ChaosApp

  before(async () => {
    scene = await ChaosScene.open({
      folder: await temporaryFolder(),
      runtime: 'native',
      kernel: { max_builds: maxBuilds },
    })
    app = await scene.createApp('shop')
    assert.equal((await app.app.settled(await app.push())).state, 'live')
  })

  after(async () => {
    await scene?.[Symbol.asyncDispose]()
  })

  const get = (id: string) => scene.stage.rivetr.client.deployments.get(id)
  const served = async () => (await fetchHost(scene.stage.rivetr.proxyPort, '/', app.host)).body
  const waits = (id: string) => until('wait', async () => (await get(id)).state === 'waiting')

  test(`U16: ten apps pushed at once are built ${maxBuilds} at a time, and all go live`, async () => {
    const names = Array.from({ length: 10 }, (_, index) => `app-${index}`)
    const apps: ChaosApp[] = []
    for (const name of names) apps.push(await scene.createApp(name))
    const ids = await Promise.all(apps.map((each) => each.push()))
    const all = await Promise.all(apps.map((each, index) => each.app.settled(ids[index] ?? '')))
    assert.deepEqual(
      all.map(({ state, reason }) => reason ?? state),
      names.map(() => 'live'),
    )
    assert.equal(mostBuildsAtOnce(all), maxBuilds)
  })

  test('of twenty pushes to one app the queued ones are superseded, and the last commit is live', async () => {
    await scene.pauses.hold('preBuild')
    const ids = [await app.push()]
    await scene.pauses.reached('preBuild')
    while (ids.length < 20) ids.push(await app.push())
    await scene.pauses.release('preBuild')
    assert.equal((await app.app.settled(ids.at(-1) ?? '')).state, 'live')
    assert.deepEqual(
      (await Promise.all(ids.map(get))).map(({ state }) => state),
      ['retired', ...Array.from({ length: 18 }, () => 'superseded'), 'live'],
    )
    assert.equal(await served(), app.version)
  })

  test('pushes that came while the kernel was down are found by comparing heads', async () => {
    const before = (await app.deployments()).length
    await scene.stage.rivetr.kill()
    await app.pushUnseen()
    const commit = await app.pushUnseen()
    await scene.stage.rivetr.start()
    let found: Deployment | undefined
    await until('deployment of the missed push', async () => {
      found = (await app.deployments()).find((each) => each.commit?.id === commit)
      return found !== undefined
    })
    const { state, trigger } = await app.app.settled(found?.id ?? '')
    assert.equal(state, 'live')
    assert.deepEqual(trigger, { ...trigger, kind: 'push', reason: 'found while comparing heads' })
    assert.equal((await app.deployments()).length, before + 1)
    assert.equal(await served(), app.version)
  })

  test('what waits for a promotion waits over a restart, and a newer push takes its place and its replicas', async () => {
    await scene.pauses.say('preSwitch', 'wait')
    const first = await app.push()
    await waits(first)
    const standing = (await get(first)).replicas.map(({ id }) => id)
    await scene.stage.rivetr.kill()
    await scene.stage.rivetr.start()
    const { state, reason } = await get(first)
    assert.equal(`${state}: ${reason}`, 'waiting: needs a promotion')
    assert.ok(standing.length === 1 && (await runningReplicas(scene)).includes(standing[0] ?? ''))

    const second = await app.push()
    await waits(second)
    assert.equal((await get(first)).state, 'superseded')
    await until('end of its replica', async () => !(await runningReplicas(scene)).includes(standing[0] ?? ''))
    assert.notEqual(await served(), app.version)
    await scene.stage.rivetr.client.deployments.promote(second)
    assert.equal((await app.app.settled(second)).state, 'live')
    assert.equal(await served(), app.version)
  })

  test('while the plugin of a gate is disabled deployments wait, with the reason, until it is back', async () => {
    const { rivetr } = scene.stage
    await scene.pauses.say('preSwitch', 'wait')
    const promoted = await app.push()
    await waits(promoted)
    await rivetr.kill()
    await scene.setPausePlugin('disabled')
    await rivetr.start()
    assert.equal((await get(promoted)).reason, 'needs a promotion')

    const held = await app.push()
    await until('wait', async () => /pause, which has a say in/.test((await get(held)).reason ?? ''))
    const { state, reason } = await get(held)
    assert.equal(state, 'waiting')
    assert.match(reason ?? '', /is disabled; enable or remove it/)

    await rivetr.kill()
    await scene.setPausePlugin('enabled')
    await scene.pauses.say('preSwitch', 'pass')
    await rivetr.start()
    assert.equal((await app.app.settled(held)).state, 'live')
    assert.equal(await served(), app.version)
  })
})

/** From the times of the step build: what began before another ended ran beside it. */
function mostBuildsAtOnce(deployments: readonly Deployment[]): number {
  const builds = deployments.flatMap(({ steps }) => steps.filter(({ step }) => step === 'build'))
  return Math.max(
    ...builds.map(
      ({ startedAt }) =>
        builds.filter((other) => other.startedAt <= startedAt && (other.endedAt ?? '') > startedAt).length,
    ),
  )
}

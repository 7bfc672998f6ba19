import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RivetrError, skip } from '@rivetr/sdk'
import { createDeployStage, type DeployStage, tester, testPlugin } from '@rivetr/testing'

const intervalMs = 60_000
const config = { kernel: { headsIntervalMs: intervalMs } }

/** Moves time past the next comparison. */
const nextComparison = (stage: DeployStage) => stage.clock.advance(intervalMs * 1.2)

const commitsOf = async (stage: DeployStage) =>
  (await stage.deployments.list(tester, 'shop')).items.map(({ commit }) => commit?.id[0])

test('a push of which nobody told is found by comparing heads, and deployed with that reason', async () => {
  await using stage = await createDeployStage({ config })
  await stage.createApp()
  await stage.deploy('shop')
  stage.fakes.source.heads.set('main', { id: 'b'.repeat(40), message: 'missed' })
  await nextComparison(stage)
  const found = await stage.until('deployment', async () => {
    const [newest] = (await stage.deployments.list(tester, 'shop')).items
    return newest?.commit?.id === 'b'.repeat(40) ? newest : undefined
  })
  assert.equal(found.trigger.kind, 'push')
  assert.equal(found.trigger.reason, 'found while comparing heads')
  await stage.reaches(found.id, 'live')
})

test('a head that was deployed is not deployed again, nor after a rollback', async () => {
  await using stage = await createDeployStage({ config })
  await stage.createApp()
  const first = await stage.deploy('shop', { commit: '1'.repeat(40) })
  await stage.deploy('shop', { commit: 'a'.repeat(40) })
  await stage.reaches((await stage.deployments.rollback(tester, first.id)).id, 'live')
  const asked = countQuestions(stage)
  await nextComparison(stage)
  await nextComparison(stage)
  await stage.until('two comparisons', () => (asked() >= 2 ? true : undefined))
  assert.deepEqual(await commitsOf(stage), ['1', 'a', '1'])
})

for (const [how, end] of [
  ['failed', 'failed'],
  ['was cancelled', 'cancelled'],
] as const) {
  test(`a head whose deployment ${how} is not tried again by itself`, async () => {
    await using stage = await createDeployStage({ config })
    await stage.createApp()
    await stage.deploy('shop', { commit: '1'.repeat(40) })
    if (end === 'failed') stage.fakes.source.failNext()
    else stage.fakes.source.hang()
    const { id } = await stage.request('shop', { kind: 'push', commit: 'a'.repeat(40) })
    if (end === 'cancelled') {
      await stage.reaches(id, 'fetching')
      await stage.deployments.cancel(tester, id)
    }
    await stage.reaches(id, end)
    const asked = countQuestions(stage)
    await nextComparison(stage)
    await stage.until('a comparison', () => (asked() > 0 ? true : undefined))
    assert.deepEqual(await commitsOf(stage), ['a', '1'])
  })
}

test('an app that nobody has deployed is left alone', async () => {
  await using stage = await createDeployStage({ config })
  await stage.createApp()
  await stage.createApp({ name: 'other' })
  await stage.deploy('other')
  const asked = countQuestions(stage)
  await nextComparison(stage)
  await stage.until('a comparison', () => (asked() > 0 ? true : undefined))
  assert.deepEqual(await commitsOf(stage), [])
})

test('U26: an app that does not deploy by itself is not compared, until it does again', async () => {
  await using stage = await createDeployStage({ config })
  const app = await stage.createApp()
  await stage.createApp({ name: 'other' })
  for (const name of ['shop', 'other']) await stage.deploy(name)
  await stage.apps.update(tester, app.id, { autoDeploy: false })
  stage.fakes.source.heads.set('main', { id: 'b'.repeat(40) })
  const newestOf = async (name: string) =>
    (await stage.deployments.list(tester, name)).items[0]?.commit?.id[0]
  await nextComparison(stage)
  await stage.until('deployment', async () => ((await newestOf('other')) === 'b' ? true : undefined))
  assert.notEqual(await newestOf('shop'), 'b')
  await stage.apps.update(tester, app.id, { autoDeploy: true })
  await nextComparison(stage)
  await stage.until('deployment', async () => ((await newestOf('shop')) === 'b' ? true : undefined))
})

test('an app that was stopped is not compared, and what was pushed meanwhile comes when it is started', async () => {
  await using stage = await createDeployStage({ config })
  for (const name of ['shop', 'other']) {
    await stage.createApp({ name })
    await stage.deploy(name)
  }
  await stage.apps.stop(tester, 'shop')
  stage.fakes.source.heads.set('main', { id: 'b'.repeat(40) })
  const newestOf = async (name: string) =>
    (await stage.deployments.list(tester, name)).items[0]?.commit?.id[0]
  await nextComparison(stage)
  await stage.until('deployment', async () => ((await newestOf('other')) === 'b' ? true : undefined))
  assert.notEqual(await newestOf('shop'), 'b')
  await stage.reaches((await stage.deployments.start(tester, 'shop')).id, 'live')
  await nextComparison(stage)
  await stage.until('deployment', async () => ((await newestOf('shop')) === 'b' ? true : undefined))
})

test('C13: a head that a plugin skips or refuses is not deployed, until the plugin has nothing against it', async () => {
  const verdicts = [skip('rests on Fridays'), 'refuse', undefined] as const
  let [asked, verdict]: [number, (typeof verdicts)[number]] = [0, undefined]
  const plugin = testPlugin(
    { name: 'friday' },
    {
      setup(ctx) {
        ctx.tap('pushReceived', ({ event, app, delivery }) => {
          assert.deepEqual(
            [event.branch, event.commit.id[0], app.name, delivery],
            ['main', 'b', 'shop', undefined],
          )
          asked += 1
          if (verdict === 'refuse') throw new Error('not on Fridays')
          return verdict
        })
      },
    },
  )
  await using stage = await createDeployStage({ config, plugins: [plugin] })
  await stage.createApp()
  await stage.deploy('shop', { commit: '1'.repeat(40) })
  stage.fakes.source.heads.set('main', { id: 'b'.repeat(40) })
  for (const next of verdicts) {
    const before = asked
    verdict = next
    await nextComparison(stage)
    await stage.until('question', () => (asked > before ? true : undefined))
    if (next !== undefined) assert.deepEqual(await commitsOf(stage), ['1'])
  }
  await stage.until('deployment', async () => ((await commitsOf(stage))[0] === 'b' ? true : undefined))
  assert.match(JSON.stringify(stage.kernel.log), /of shop was found and is not deployed: .*not on Fridays/)
})

test('a source that fails or hangs keeps no other app from being compared', async () => {
  await using stage = await createDeployStage({ config })
  for (const name of ['fails', 'hangs', 'shop']) {
    await stage.createApp({ name, source: { url: `https://git.test/${name}.git` } })
    await stage.deploy(name)
  }
  const head = { id: 'b'.repeat(40) }
  stage.fakes.source.resolve = async ({ url }) => {
    if (url.includes('hangs')) return new Promise(() => undefined)
    if (url.includes('fails')) throw new RivetrError('source_failed', 'no access')
    return head
  }
  await nextComparison(stage)
  await stage.until('deployment', async () => ((await commitsOf(stage))[0] === 'b' ? true : undefined))
  assert.match(JSON.stringify(stage.kernel.log), /the head of main of fails is not known: no access/)
  await stage.clock.advance(31_000)
  await stage.until(
    'deadline',
    () =>
      /the head of main of hangs is not known: .*30 s/.test(JSON.stringify(stage.kernel.log)) || undefined,
  )
})

/** How often the source has been asked for a head since. */
function countQuestions({ fakes: { source } }: DeployStage): () => number {
  let count = 0
  const resolve = source.resolve.bind(source)
  source.resolve = (settings, ref) => {
    count += 1
    return resolve(settings, ref)
  }
  return () => count
}

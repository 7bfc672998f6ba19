import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { wait } from '@rivetr/sdk'
import { createDeployStage, type DeployStageOptions, fakePlugins, tester, testPlugin } from '@rivetr/testing'
import { FactRow } from '../data/entities/index.ts'
import { discoverPlugins } from './discovery.ts'

const promotion = testPlugin(
  { name: 'promotion' },
  { setup: (ctx) => ctx.tap('preSwitch', () => wait('needs a promotion')) },
)
const policy = testPlugin({ name: 'policy' }, { setup: (ctx) => ctx.tap('preBuild', () => undefined) })
const brokenPolicy = testPlugin(
  { name: 'policy' },
  {
    setup: () => {
      throw new Error('no licence')
    },
  },
)

/** Boots one after another over the same data and the same world. */
async function boots(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'rivetr-test-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const fakes = fakePlugins()
  return (options: DeployStageOptions) =>
    createDeployStage({ ...options, fakes, dataDir: join(folder, 'data') })
}

const late = testPlugin(
  { name: 'late' },
  {
    setup: (ctx) =>
      ctx.tap('appCreated', () => {
        ctx.tap('preBuild', () => undefined)
        return undefined
      }),
  },
)

test('a gate that a plugin tapped while it ran is one, too', async (t) => {
  const boot = await boots(t)
  {
    await using stage = await boot({ plugins: [late] })
    await stage.createApp()
    const { rows } = stage.kernel.kernel.parts.database
    await stage.until('the gate in the rows', async () => {
      const fact = await rows.findOne(FactRow, { name: 'gates:late' })
      return fact?.value === '["preBuild"]' || undefined
    })
  }
  await using stage = await boot({ plugins: [late], config: { kernel: { disabledPlugins: ['late'] } } })
  const { reason } = await stage.reaches((await stage.request('shop')).id, 'waiting')
  assert.equal(reason, 'plugin late, which has a say in preBuild, is disabled; enable or remove it')
})

test('a deployment that waits for a promotion still waits when the plugin of the gate was disabled', async (t) => {
  const boot = await boots(t)
  let waiting: string
  {
    await using stage = await boot({ plugins: [promotion] })
    await stage.createApp()
    waiting = (await stage.reaches((await stage.request('shop')).id, 'waiting')).id
  }
  await using stage = await boot({
    plugins: [promotion],
    config: { kernel: { disabledPlugins: ['promotion'] } },
  })
  const { state, reason } = await stage.deployments.get(tester, waiting)
  assert.equal(`${state}: ${reason}`, 'waiting: needs a promotion')
  const next = await stage.reaches((await stage.request('shop')).id, 'waiting')
  assert.equal(
    next.reason,
    'plugin promotion, which has a say in preSwitch, is disabled; enable or remove it',
  )
  await stage.deployments.promote(tester, next.id)
  await stage.reaches(next.id, 'live')
})

for (const [how, plugin, config] of [
  ['is disabled', policy, { kernel: { disabledPlugins: ['policy'] } }],
  ['failed at boot', brokenPolicy, {}],
] as const) {
  test(`a deployment waits before anything is made while a plugin that gates builds ${how}`, async (t) => {
    const boot = await boots(t)
    {
      await using stage = await boot({ plugins: [policy] })
      await stage.createApp()
      await stage.deploy('shop')
    }
    await using stage = await boot({ plugins: [plugin], config })
    const { id } = await stage.request('shop')
    const { reason, steps } = await stage.reaches(id, 'waiting')
    assert.match(reason ?? '', /^plugin policy, which has a say in preBuild, is (disabled|failed)/)
    assert.deepEqual(steps, [])
  })
}

test('a plugin that is back lets go what waited for it', async (t) => {
  const boot = await boots(t)
  await (await boot({ plugins: [policy] }))[Symbol.asyncDispose]()
  let waiting: string
  {
    await using stage = await boot({
      plugins: [policy],
      config: { kernel: { disabledPlugins: ['policy'] } },
    })
    await stage.createApp()
    waiting = (await stage.reaches((await stage.request('shop')).id, 'waiting')).id
  }
  await using stage = await boot({ plugins: [policy] })
  await stage.clock.advance(16_000)
  await stage.reaches(waiting, 'live')
})

test('a plugin that was removed has no say any more', async (t) => {
  const boot = await boots(t)
  await (await boot({ plugins: [policy] }))[Symbol.asyncDispose]()
  await using stage = await boot({})
  await stage.createApp()
  await stage.deploy('shop')
  assert.match(JSON.stringify(stage.kernel.log), /plugin policy was removed: it has no say in preBuild/)
})

test('a plugin whose folder cannot be read keeps its say', async (t) => {
  const boot = await boots(t)
  await (await boot({ plugins: [policy] }))[Symbol.asyncDispose]()
  const folder = join(tmpdir(), 'rivetr-no-such-folder')
  const nameless = (await discoverPlugins([folder])).filter(({ builtIn }) => !builtIn)
  {
    await using stage = await boot({ plugins: nameless })
    await stage.createApp()
    const { reason } = await stage.reaches((await stage.request('shop')).id, 'waiting')
    assert.equal(
      reason,
      `plugin policy, which has a say in preBuild, is perhaps the one in ${folder}, which failed; mend or remove it`,
    )
  }
  await using stage = await boot({ plugins: [policy], config: { kernel: { disabledPlugins: ['policy'] } } })
  await stage.reaches((await stage.request('shop')).id, 'waiting')
})

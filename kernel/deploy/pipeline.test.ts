import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeploymentState } from '@rivetr/sdk'
import { createDeployStage, testPlugin } from '@rivetr/testing'

test('a deployment goes through its states in order to live, with every step recorded', async () => {
  const seen: DeploymentState[] = []
  const watcher = testPlugin(
    { name: 'watcher' },
    {
      setup: (ctx) =>
        ctx.tap('deployStateChanged', ({ to }) => {
          seen.push(to)
        }),
    },
  )
  await using stage = await createDeployStage({ plugins: [watcher] })
  await stage.createApp()
  const live = await stage.deploy('shop', { commit: 'b'.repeat(40) })
  await stage.until('last change', () => seen.find((state) => state === 'live'))
  assert.deepEqual(seen, ['fetching', 'building', 'preparing', 'starting', 'checking', 'switching', 'live'])
  assert.deepEqual(live.steps.map(({ step, outcome }) => `${step} ${outcome}`).slice(0, 5), [
    'fetch done',
    'build done',
    'prepare done',
    'start done',
    'check done',
  ])
  assert.equal(live.steps[5]?.step, 'switch')
  assert.equal(live.release, 1)
  assert.deepEqual(
    live.replicas.map(({ process, state }) => [process, state]),
    [['web', 'ready']],
  )
  assert.deepEqual(stage.fakes.source.fetched, ['b'.repeat(40)])
})

test('traffic is held while the table changes, and then goes to the new replica', async () => {
  await using stage = await createDeployStage()
  const app = await stage.createApp()
  const { replicas } = await stage.deploy('shop')
  const { calls, table } = stage.fakes.traffic
  const held = calls.indexOf(`hold ${app.id}`)
  assert.match(calls[held + 1] ?? '', /^apply/)
  assert.equal(calls[held + 2], `release ${app.id}`)
  assert.deepEqual(
    table.routes.map(({ host, upstreams }) => [host, upstreams.map(({ replica }) => replica)]),
    [['shop.test', [replicas[0]?.id]]],
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Deployment, DeploymentState } from '@rivetr/sdk'
import { createDeployStage, testPlugin } from '@rivetr/testing'

test('a deployment goes through its states in order to live, with every step recorded', async () => {
  const seen: DeploymentState[] = []
  let live: Deployment | undefined
  const watcher = testPlugin(
    { name: 'watcher' },
    {
      setup: (ctx) =>
        ctx.tap('deployStateChanged', ({ deployment, to }) => {
          seen.push(to)
          if (to === 'live') live = deployment
        }),
    },
  )
  await using stage = await createDeployStage({ plugins: [watcher] })
  await stage.createApp()
  await stage.deploy('shop', { commit: 'b'.repeat(40) })
  const { steps, release, replicas } = await stage.until('last change', () => live)
  assert.deepEqual(seen, ['fetching', 'building', 'preparing', 'starting', 'checking', 'switching', 'live'])
  assert.deepEqual(
    steps.map(({ step, outcome }) => `${step} ${outcome}`),
    ['fetch done', 'build done', 'prepare done', 'start done', 'check done', 'switch done'],
  )
  assert.equal(release, 1)
  assert.deepEqual(
    replicas.map(({ process, state }) => [process, state]),
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

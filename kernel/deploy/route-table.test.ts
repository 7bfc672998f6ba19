import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Certificates, Routes } from '@rivetr/sdk'
import { createDeployStage, tester, testPlugin } from '@rivetr/testing'

test('a route of an app without a release has no upstreams, and one with a release has its replicas', async () => {
  await using stage = await createDeployStage()
  await stage.createApp({ processes: { web: { replicas: 2 } } })
  assert.deepEqual(
    stage.fakes.traffic.table.routes.map(({ upstreams }) => upstreams),
    [[]],
  )
  const { replicas } = await stage.deploy('shop')
  assert.deepEqual(
    stage.fakes.traffic.table.routes[0]?.upstreams,
    replicas.map(({ id, endpoint }) => ({ replica: id, ...endpoint, weight: 1 })),
  )
})

test('every table has a generation of its own, and each is newer than the one before', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  await stage.createApp({ name: 'other' })
  const applied = stage.fakes.traffic.calls.filter((call) => call.startsWith('apply'))
  const generations = applied.map((call) => Number(call.split('/')[1]))
  assert.ok(generations.length >= 2)
  for (const [index, generation] of generations.entries()) assert.equal(generation, index + 1)
})

test('routeResolve changes routes as data', async () => {
  const splitter = testPlugin(
    { name: 'splitter' },
    {
      setup: (ctx) =>
        ctx.tap('routeResolve', (route, { app }) => ({ ...route, headers: { 'x-app': app.name } })),
    },
  )
  await using stage = await createDeployStage({ plugins: [splitter] })
  await stage.createApp()
  assert.deepEqual(stage.fakes.traffic.table.routes[0]?.headers, { 'x-app': 'shop' })
})

test('a tap of routeResolve that fails costs no route', async () => {
  const faulty = testPlugin(
    { name: 'faulty' },
    {
      setup: (ctx) =>
        ctx.tap('routeResolve', (route, { app }) => {
          if (app.name === 'shop') throw new Error('out of order')
          return { ...route, headers: { 'x-tapped': 'yes' } }
        }),
    },
  )
  await using stage = await createDeployStage({ plugins: [faulty] })
  await stage.createApp()
  await stage.createApp({ name: 'other' })
  assert.deepEqual(
    stage.fakes.traffic.table.routes.map(({ host, headers }) => [host, headers?.['x-tapped']]),
    [
      ['other.test', 'yes'],
      ['shop.test', undefined],
    ],
  )
})

test('routesChanged tells what came and what went', async () => {
  const told: unknown[] = []
  const watcher = testPlugin(
    { name: 'watcher' },
    {
      setup: (ctx) =>
        ctx.tap('routesChanged', (change) => {
          told.push(change)
        }),
    },
  )
  await using stage = await createDeployStage({ plugins: [watcher] })
  await stage.createApp()
  await stage.kernel.get(Routes).replace(tester, 'shop', [{ host: 'new.test', path: '/' }])
  assert.deepEqual(told, [
    { added: ['shop.test/'], removed: [] },
    { added: ['new.test/'], removed: ['shop.test/'] },
  ])
})

test('routes that no edge takes are an error for whoever changed them, and the next table has them', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  stage.fakes.traffic.failNext('apply')
  const routes = stage.kernel.get(Routes)
  await assert.rejects(routes.replace(tester, 'shop', [{ host: 'a.test', path: '/' }]), {
    code: 'unavailable',
  })
  await stage.createApp({ name: 'other' })
  assert.deepEqual(
    stage.fakes.traffic.table.routes.map(({ host }) => host),
    ['a.test', 'other.test'],
  )
})

/** A provider of certificates that is asked and told, and fails when it is to. */
function certifier() {
  const told: string[][] = []
  let fails = false
  const plugin = testPlugin(
    { name: 'certifier', provides: ['certificates'] },
    {
      setup: (ctx) =>
        ctx.provide(Certificates, () => ({
          ensure: async (hosts) => void told.push([...hosts]),
          forTable: async () => {
            if (fails) throw new Error('out of order')
            const certificate = { hosts: ['shop.test'], chain: 'chain', key: 'key' }
            return { certificates: told.length > 0 ? [certificate] : [], challenges: [] }
          },
        })),
    },
  )
  const failFromNowOn = () => {
    fails = true
  }
  return { plugin, told, failFromNowOn }
}

test('the provider of certificates hears of the hosts once for each change, and its certificates are in the table', async () => {
  const { plugin, told } = certifier()
  await using stage = await createDeployStage({ plugins: [plugin] })
  await stage.createApp()
  const routes = stage.kernel.get(Routes)
  await routes.publish()
  assert.deepEqual(
    stage.fakes.traffic.table.certificates?.map(({ hosts }) => hosts),
    [['shop.test']],
  )
  await routes.replace(tester, 'shop', [
    { host: 'new.test', path: '/' },
    { host: 'new.test', path: '/x' },
  ])
  assert.deepEqual(told, [[], ['shop.test'], ['new.test']])
})

test('a provider of certificates that fails costs neither routes nor the certificates that were there', async () => {
  const { plugin, failFromNowOn } = certifier()
  await using stage = await createDeployStage({ plugins: [plugin] })
  await stage.createApp()
  const routes = stage.kernel.get(Routes)
  await routes.publish()
  failFromNowOn()
  await routes.replace(tester, 'shop', [{ host: 'new.test', path: '/' }])
  const { table } = stage.fakes.traffic
  assert.equal(table.routes[0]?.host, 'new.test')
  assert.equal(table.certificates?.length, 1)
})

test('a hundred calls to publish at once make two tables', async () => {
  await using stage = await createDeployStage()
  await stage.createApp()
  const count = () => stage.fakes.traffic.calls.filter((call) => call.startsWith('apply')).length
  const before = count()
  await Promise.all(Array.from({ length: 100 }, () => stage.kernel.get(Routes).publish()))
  assert.ok(count() - before <= 2, `${count() - before} tables`)
})

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Fault, kernelKilled } from '../chaos/faults.ts'
import { hardestMoments } from '../chaos/moments.ts'
import { testOutage } from '../chaos/outage.ts'
import { runningReplicas } from '../chaos/running.ts'
import { type ChaosApp, ChaosScene } from '../chaos/scene.ts'
import { survive } from '../chaos/survive.ts'
import { until } from '../chaos/until.ts'
import { PostgresRelay } from '../machine/postgres-relay.ts'
import { PostgresServer } from '../machine/postgres-server.ts'
import { temporaryFolder } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'

/** The states in which the rows say most about what stands outside of them. */
const killed = /^(building|starting|switching)/

describe('the pipeline on PostgreSQL', () => {
  let server: PostgresServer
  let relay: PostgresRelay
  let scene: ChaosScene

  before(async () => {
    const folder = await temporaryFolder()
    server = await PostgresServer.start(join(folder, 'postgresql'))
    relay = await PostgresRelay.start(server.port)
    const url = (await server.createDatabase('rivetr')).replace(`:${server.port}/`, `:${relay.port}/`)
    scene = await ChaosScene.open({ folder, runtime: 'native', kernel: { database_url: url } })
  })

  after(async () => {
    await scene?.[Symbol.asyncDispose]()
    await relay?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  const served = async ({ host }: ChaosApp) => (await fetchHost(scene.stage.rivetr.proxyPort, '/', host)).body

  test('a push goes live, a rollback brings the one before back, and SQLite has no part in it', async () => {
    const app = await scene.createApp('books')
    const first = await app.app.settled(await app.push())
    assert.equal(first.state, 'live', first.reason)
    assert.equal((await app.app.settled(await app.push())).state, 'live')
    assert.equal(await served(app), 'v2')
    const back = await scene.stage.rivetr.client.deployments.rollback(first.id)
    assert.equal((await app.app.settled(back.id)).state, 'live')
    assert.equal(await served(app), 'v1')
    assert.deepEqual(await server.sql('select state from deployments order by created_at', 'rivetr'), [
      'retired',
      'retired',
      'live',
    ])
    assert.equal(existsSync(join(scene.stage.folder, 'data', 'rivetr.db')), false)
  })

  test('several apps that are pushed at once all go live, each once, and leave nothing when they are removed', async () => {
    const apps: ChaosApp[] = []
    for (const name of ['a', 'b', 'c', 'd']) apps.push(await scene.createApp(name))
    const ids = await Promise.all(apps.map((each) => each.push()))
    const all = await Promise.all(apps.map((each, index) => each.app.settled(ids[index] ?? '')))
    assert.deepEqual(
      all.map(({ state, reason, attempt }) => [reason ?? state, attempt]),
      apps.map(() => ['live', 1]),
    )
    assert.deepEqual(await Promise.all(apps.map(served)), ['v1', 'v1', 'v1', 'v1'])
    const { client } = scene.stage.rivetr
    await Promise.all(['books', ...apps.map(({ name }) => name)].map((name) => client.apps.remove(name)))
    await until('end of all replicas', async () => (await runningReplicas(scene)).length === 0)
    for (const table of ['apps', 'deployments', 'releases', 'replicas'])
      assert.deepEqual(await server.sql(`select count(*) from ${table}`, 'rivetr'), ['0'], table)
  })

  describe('for a moment', () => {
    let app: ChaosApp
    before(async () => {
      app = await scene.createApp('shop', { releaseCommand: ['sh', 'release.sh'] })
      const first = await app.app.settled(await app.push())
      assert.equal(first.state, 'live', first.reason)
    })

    const away = (how: 'refused' | 'silent'): Fault => ({
      name: 'the database is away',
      endsKernel: false,
      async strike() {
        relay.leave(how)
        await sleep(1_000)
        relay.comeBack()
      },
    })

    for (const moment of hardestMoments.filter(({ name }) => killed.test(name)))
      test(`the kernel is away (kill -9) while a deployment is ${moment.name}`, async () => {
        assert.deepEqual(await survive(app, kernelKilled, moment), [])
      })

    for (const how of ['refused', 'silent'] as const)
      for (const moment of hardestMoments.filter(({ name }) => /^switching/.test(name)))
        test(`the database is away (${how}) while a deployment is ${moment.name}`, async () => {
          assert.deepEqual(await survive(app, away(how), moment), [])
        })
  })
})

describe('a server of PostgreSQL that is away for longer than anybody waits', () => {
  let server: PostgresServer
  testOutage({
    runtime: 'native',
    reason: /the database rivetr at \S+ has been away for more than \d+ s/,
    async open() {
      const folder = await temporaryFolder()
      server = await PostgresServer.start(join(folder, 'postgresql'))
      return { folder, kernel: { database_url: await server.createDatabase('rivetr') } }
    },
    begin: () => server.stop(),
    end: () => server.start(),
  })
  after(() => server?.[Symbol.asyncDispose]())
})

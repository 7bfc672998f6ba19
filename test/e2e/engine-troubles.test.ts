import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Deployment } from '@rivetr/sdk'
import { EngineRelay } from '../machine/engine-relay.ts'
import { callEngine } from '../machine/engine-socket.ts'
import { temporaryFolder, thisRunsEngine } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'
import { type StageRuntime, stageRuntime } from '../stage/runtimes.ts'
import { Stage, type StageApp } from '../stage/stage.ts'

const create = /^POST \S+\/containers\/create/

describe('an engine behind a relay that does not do as it is asked', () => {
  let runtime: StageRuntime
  let relay: EngineRelay
  let stage: Stage
  let app: StageApp
  let instance: string

  before(async () => {
    runtime = await stageRuntime('docker')
    const folder = await temporaryFolder()
    relay = await EngineRelay.open(folder, thisRunsEngine().socketPath)
    stage = await Stage.open({
      folder,
      config: { 'runtime-docker': { socket: relay.socketPath, reach: 'loopback' } },
    })
    instance = (await stage.rivetr.client.system.health()).instance
    app = await stage.createApp('shop', runtime.example, {
      runtime: 'docker',
      routes: [{ host: 'shop.example.test' }],
      health: { kind: 'http', path: '/healthz', intervalMs: 200, deadlineMs: 30_000 },
    })
    await goesLive('first', await app.push({ ...runtime.files, 'version.txt': 'first' }))
  })

  after(async () => {
    await stage?.[Symbol.asyncDispose]()
    await relay?.[Symbol.asyncDispose]()
  })

  /** Those of this scene: others of this run have left theirs, as Rivetr does when it stops. */
  async function containers(): Promise<{ State: string; Labels: Record<string, string> }[]> {
    const filters = encodeURIComponent(JSON.stringify({ label: [`rivetr.instance=${instance}`] }))
    const path = `/containers/json?all=1&filters=${filters}`
    return JSON.parse((await callEngine(thisRunsEngine().socketPath, { path })).body)
  }

  /** It answers, and nothing of any other deployment is left at the engine. */
  async function goesLive(version: string, id: string): Promise<void> {
    const deployment = await app.settled(id)
    assert.equal(deployment.state, 'live', deployment.reason)
    const { body } = await fetchHost(stage.rivetr.proxyPort, '/version')
    assert.equal((JSON.parse(body) as { version: string }).version, version)
    await left([id])
  }

  /** Containers of exactly these deployments are left. */
  async function left(deployments: readonly string[]): Promise<void> {
    let found: string[] = []
    for (const giveUpAt = Date.now() + 30_000; Date.now() < giveUpAt; await sleep(100)) {
      found = (await containers()).map(({ Labels }) => Labels['rivetr.deployment'] ?? '').sort()
      if (`${found}` === `${[...deployments].sort()}`) return
    }
    assert.deepEqual(found, deployments)
  }

  /** A push whose container was made, while Rivetr does not know it yet. */
  async function madeOnly(version: string): Promise<Deployment> {
    relay.keepBack(create)
    const id = await app.push({ 'version.txt': version })
    await relay.answered()
    return stage.rivetr.client.deployments.get(id)
  }

  test('B9: after a kill between create and start the deployment goes live, and the container that was made is gone', async () => {
    const { id } = await madeOnly('killed')
    await stage.rivetr.kill()
    assert.equal((await containers()).filter(({ State }) => State === 'created').length, 1)
    relay.release()
    await stage.rivetr.start()
    await goesLive('killed', id)
  })

  test('G8: a deployment whose port is taken names the port and who holds it, and the next one is live', async () => {
    const live = (await stage.rivetr.client.apps.deployments('shop')).items[0]?.id ?? ''
    const { id, replicas } = await madeOnly('port taken')
    const endpoint = replicas[0]?.endpoint
    assert.equal(endpoint?.address, '127.0.0.1')
    const holder = createServer().listen(endpoint.port, endpoint.address)
    await once(holder, 'listening')
    relay.release()
    const failed = await app.settled(id)
    assert.equal(failed.state, 'failed')
    assert.match(
      failed.reason ?? '',
      new RegExp(`node \\(process ${process.pid}\\) holds it.*127\\.0\\.0\\.1:${endpoint.port}`),
    )
    await left([live])
    holder.close()
    await once(holder, 'close')
    await goesLive('port free', await app.push({ 'version.txt': 'port free' }))
  })

  test('G8: a name that the engine has lost and does not give back holds up one deployment, not the next', async () => {
    const live = (await stage.rivetr.client.apps.deployments('shop')).items[0]?.id ?? ''
    // As moby answers: no container of that name is to be seen, and its name is taken all the same.
    const said =
      'Conflict. The container name "/x" is already in use by container "5f1d". You have to remove it.'
    relay.refuse(create, 409, said)
    const failed = await app.pushAndSettle({ 'version.txt': 'name taken' })
    assert.equal(failed.state, 'failed')
    assert.match(failed.reason ?? '', /not of this Rivetr has the name rivetr-shop-.*container "5f1d"/)
    await left([live])
    relay.release()
    await goesLive('name free', await app.push({ 'version.txt': 'name free' }))
  })

  test('U6: an old replica whose stop the engine refuses serves nobody, and is gone once it can be stopped', async () => {
    const old = (await stage.rivetr.client.apps.deployments('shop')).items[0]?.id ?? ''
    relay.refuse(
      /^POST \S+\/containers\/\w+\/stop/,
      500,
      'cannot stop container: tried to kill it, but did not',
    )
    const next = await app.pushAndSettle({ 'version.txt': 'beside the old' })
    assert.equal(next.state, 'live', next.reason)
    for (const giveUpAt = Date.now() + 30_000; ; await sleep(100)) {
      if (/could not be retired now and is tried again/.test(await stage.rivetr.log())) break
      assert.ok(Date.now() < giveUpAt, 'no trouble was told')
    }
    await left([old, next.id])
    relay.release()
    await goesLive('beside the old', next.id)
  })
})

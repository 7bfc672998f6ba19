import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { runningReplicas } from '../chaos/running.ts'
import { type ChaosApp, ChaosScene } from '../chaos/scene.ts'
import { until } from '../chaos/until.ts'
import { callEngine } from '../machine/engine-socket.ts'
import { temporaryFolder, thisRunsEngine } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'

for (const runtime of ['native', 'docker'] as const) {
  describe(`B9: an app of a web and a worker on ${runtime}`, () => {
    let scene: ChaosScene
    let app: ChaosApp

    before(async () => {
      scene = await ChaosScene.open({ folder: await temporaryFolder(), runtime })
      const worker = { command: ['sh', '-c', 'while sleep 1; do :; done'], replicas: 1 }
      app = await scene.createApp('shop', { processes: { web: { replicas: 1 }, worker } })
      await deploy()
    })

    after(() => scene?.[Symbol.asyncDispose]())

    /** A push that must go live, and after which exactly its own replicas run. */
    async function deploy(): Promise<void> {
      const deployment = await app.app.settled(await app.push())
      assert.equal(deployment.state, 'live', deployment.reason)
      await onlyNewestRuns()
    }

    async function onlyNewestRuns(): Promise<void> {
      const live = (await app.deployments()).find(({ state }) => state === 'live')
      const wanted = live?.replicas.flatMap(({ id, state }) => (state === 'ready' ? [id] : [])).sort() ?? []
      assert.equal(wanted.length, 2)
      await until('end of the old replicas', async () => `${await runningReplicas(scene)}` === `${wanted}`)
      assert.equal((await fetchHost(scene.stage.rivetr.proxyPort, '/', app.host)).body, app.version)
    }

    for (const [what, processes] of [
      ['its web', ['web']],
      ['its worker', ['worker']],
      ['every replica', ['web', 'worker']],
    ] as const) {
      test(`goes live with the next push although ${what} was removed by hand`, async () => {
        const live = (await app.deployments()).find(({ state }) => state === 'live')
        for (const { id, process } of live?.replicas ?? [])
          if ((processes as readonly string[]).includes(process)) await removeByHand(scene, id)
        await deploy()
      })
    }

    test('goes live with the next push although every replica was removed while Rivetr was down', async () => {
      await scene.stage.rivetr.kill()
      for (const id of await standingByHand(scene)) await removeByHand(scene, id)
      await scene.stage.rivetr.start()
      await deploy()
    })

    test('has no old worker left after a kill of the kernel while the old web drains', async () => {
      const old = await runningReplicas(scene)
      await app.askSlowly()
      const deployment = await app.app.settled(await app.push())
      assert.equal(deployment.state, 'live', deployment.reason)
      await scene.stage.rivetr.kill()
      const left = await standingByHand(scene)
      assert.ok(
        old.some((id) => left.includes(id)),
        'nothing was draining',
      )
      await scene.stage.rivetr.start()
      assert.deepEqual(await app.slowFaults(), [])
      await onlyNewestRuns()
    })
  })
}

/** The replicas that run, found without Rivetr. */
async function standingByHand(scene: ChaosScene): Promise<string[]> {
  if (scene.runtime === 'native')
    return [...new Set(nativeProcesses(scene.stage.folder).map(({ replica }) => replica))]
  return (await containers()).map(({ Labels }) => Labels['rivetr.replica'] ?? '')
}

/** As somebody does who knows the engine, or `kill` and `rm`, and not Rivetr. */
async function removeByHand(scene: ChaosScene, replica: string): Promise<void> {
  if (scene.runtime === 'native') {
    for (const each of nativeProcesses(scene.stage.folder))
      if (each.replica === replica) process.kill(each.pid, 'SIGKILL')
    rmSync(join(scene.stage.folder, 'data', 'plugins', 'runtime-native', 'replicas', replica), {
      recursive: true,
    })
    return
  }
  const container = (await containers()).find(({ Labels }) => Labels['rivetr.replica'] === replica)
  assert.ok(container, `no container of the replica ${replica}`)
  const { socketPath } = thisRunsEngine()
  const path = `/containers/${container.Id}?force=1`
  assert.equal((await callEngine(socketPath, { method: 'DELETE', path })).status, 204)
}

async function containers(): Promise<{ Id: string; Labels: Record<string, string> }[]> {
  const filters = encodeURIComponent(JSON.stringify({ label: ['rivetr.replica'] }))
  const path = `/containers/json?all=1&filters=${filters}`
  return JSON.parse((await callEngine(thisRunsEngine().socketPath, { path })).body)
}

/** With the shim, which has the replica's id among its arguments or in its environment like all the others. */
function nativeProcesses(folder: string): { pid: number; replica: string }[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const replica = /(?:^|\0)RIVETR_REPLICA=([^\0]+)/.exec(
        readFileSync(`/proc/${name}/environ`, 'latin1'),
      )?.[1]
      if (replica === undefined) return []
      return readdirSync(join(folder, 'data', 'plugins', 'runtime-native', 'replicas')).includes(replica)
        ? [{ pid: Number(name), replica }]
        : []
    } catch {
      return [] // it has just ended
    }
  })
}

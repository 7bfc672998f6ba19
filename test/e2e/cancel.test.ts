import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AppChange, AppInput, Deployment, DeploymentState } from '@rivetr/sdk'
import { Load } from '../machine/load.ts'
import { temporaryFolder, thisRunsEngine } from '../machine/this-run.ts'
import { rivetrCommand } from '../stage/command-line.ts'
import { fetchHost } from '../stage/host-request.ts'
import { leftovers, leftoversAfter, type Place } from '../stage/leftovers.ts'
import { type StageRuntime, stageRuntime } from '../stage/runtimes.ts'
import { SlowGitServer } from '../stage/slow-git-server.ts'
import { Stage, type StageApp } from '../stage/stage.ts'

const host = 'shop.example.test'
const limitMs = 5_000
const health: AppInput['health'] = { kind: 'http', path: '/healthz', intervalMs: 200, deadlineMs: 60_000 }

for (const name of ['native', 'docker'] as const) {
  describe(`cancel on ${name}`, () => {
    let runtime: StageRuntime
    let stage: Stage
    let app: StageApp
    let slow: SlowGitServer
    let load: Load
    let appId: string
    let liveCommit: string

    before(async () => {
      runtime = await stageRuntime(name)
      slow = await SlowGitServer.listen()
      stage = await Stage.open({ folder: await temporaryFolder(), config: runtime.config })
      app = await stage.createApp('shop', runtime.example, { runtime: name, routes: [{ host }], health })
      const first = await app.pushAndSettle({ ...runtime.files, 'version.txt': 'one' })
      assert.equal(first.state, 'live', first.reason)
      appId = first.app.id
      liveCommit = await app.head()
      load = new Load({ port: stage.rivetr.proxyPort, host, path: '/version', requestsPerSecond: 20 })
    })

    /** As it was when it went live, whatever a test before has left. */
    beforeEach(async () => {
      await app.copy.git('checkout', '--quiet', liveCommit, '--', '.')
      await stage.rivetr.client.apps.update('shop', {
        source: { kind: 'git', url: app.repository.url, branch: 'main' },
        releaseCommand: null,
        processes: null,
      })
    })

    after(async () => {
      await load?.stop()
      await stage?.[Symbol.asyncDispose]()
      await slow?.[Symbol.asyncDispose]()
    })

    function placeOf(deployment: string, released = true): Place {
      const engine = name === 'docker' ? thisRunsEngine().socketPath : undefined
      return { folder: stage.folder, deployment, engine, ...(released ? {} : { app: appId }) }
    }

    /** The deployment once it is as far as the test wants it. */
    async function reached(id: string, isThere: (deployment: Deployment) => boolean | Promise<boolean>) {
      for (const giveUpAt = Date.now() + 60_000; ; await sleep(5)) {
        const deployment = await stage.rivetr.client.deployments.get(id)
        if (await isThere(deployment)) return deployment
        assert.ok(Date.now() < giveUpAt, `the deployment is ${deployment.state}: ${deployment.reason}`)
        assert.ok(!deployment.endedAt, `the deployment is ${deployment.state}: ${deployment.reason}`)
      }
    }

    const hasProcess = async (id: string) =>
      (await leftovers(placeOf(id))).some((left) => /^(process|container)/.test(left))

    interface Moment {
      readonly state: DeploymentState
      readonly settings?: () => Partial<AppChange>
      readonly files?: () => Readonly<Record<string, string>>
      /** That the work itself is under way, and not only the row. */
      readonly underWay: (deployment: Deployment) => boolean | Promise<boolean>
    }

    const moments: readonly Moment[] = [
      {
        state: 'fetching',
        settings: () => ({ source: { kind: 'git', url: slow.url, branch: 'main' }, check: false }),
        underWay: ({ id }) => hasProcess(id),
      },
      {
        state: 'building',
        files: () =>
          name === 'native'
            ? { 'package.json': JSON.stringify({ name: 'hello', scripts: { build: 'sleep 301' } }) }
            : { Dockerfile: `${runtime.files.Dockerfile}RUN sleep 301\n` },
        underWay: async ({ id }) => (await leftovers(placeOf(id))).some((left) => left.includes('sleep 301')),
      },
      {
        state: 'preparing',
        settings: () => ({ releaseCommand: ['sleep', '302'] }),
        underWay: async ({ id }) => (await leftovers(placeOf(id))).some((left) => left.includes('sleep 302')),
      },
      {
        state: 'starting',
        settings: () => ({
          processes: {
            web: { replicas: 1 },
            worker: { command: ['sleep', '303'], replicas: name === 'native' ? 100 : 20 },
          },
        }),
        underWay: ({ replicas }) => replicas.length >= 3,
      },
      {
        state: 'checking',
        files: () => ({
          'server.js':
            'require("http").createServer((q, r) => { r.statusCode = 500; r.end() }).listen(process.env.PORT)\n',
        }),
        underWay: ({ replicas }) => replicas.length === 1,
      },
    ]

    for (const { state, settings, files, underWay } of moments) {
      const byCommand = state === 'fetching'
      test(`U14 U15: ${state}: ${byCommand ? 'by command' : 'by API'} it is cancelled within 5 s, and nothing is left`, async () => {
        const head = await app.head()
        if (settings !== undefined) await stage.rivetr.client.apps.update('shop', settings())
        const id = byCommand
          ? (await stage.rivetr.client.apps.deploy('shop', { commit: head })).id
          : await app.push(files?.() ?? { 'version.txt': `cancelled while ${state}` })
        await reached(id, async (deployment) => deployment.state === state && (await underWay(deployment)))

        let askedAt = Date.now()
        if (byCommand) {
          const { exitCode, stderr } = await rivetrCommand(stage.folder, ['cancel', id])
          assert.equal(exitCode, 0, stderr)
          askedAt = Date.now() // how long a new process takes to load is not what is measured
        } else assert.equal((await stage.rivetr.client.deployments.cancel(id)).state, 'cancelled')
        const place = placeOf(id, state !== 'fetching' && state !== 'building')
        assert.deepEqual(await leftoversAfter(place, askedAt + limitMs - Date.now()), [])
        const tookMs = Date.now() - askedAt
        assert.ok(tookMs < limitMs + 500, `it took ${tookMs} ms`)

        const deployment = await stage.rivetr.client.deployments.cancel(id)
        assert.equal(deployment.state, 'cancelled')
        assert.match(deployment.reason ?? '', /^cancelled by /)
        assert.equal(deployment.steps.at(-1)?.outcome, 'cancelled')
        assert.deepEqual(
          deployment.replicas.filter((replica) => replica.state !== 'stopped'),
          [],
        )
      })
    }

    test('queued behind another, it is cancelled without ever having begun', async () => {
      await stage.rivetr.client.apps.update('shop', { releaseCommand: ['sleep', '304'] })
      const running = await app.push({ 'version.txt': 'in front' })
      await reached(running, (deployment) => deployment.state === 'preparing')
      const { id } = await stage.rivetr.client.apps.deploy('shop')
      assert.equal((await stage.rivetr.client.deployments.cancel(id)).state, 'cancelled')
      assert.deepEqual((await stage.rivetr.client.deployments.get(id)).steps, [])
      assert.equal((await stage.rivetr.client.deployments.get(running)).state, 'preparing')
      assert.equal((await stage.rivetr.client.deployments.cancel(running)).state, 'cancelled')
    })

    test('U15: cancelled five times at once, every answer is the same, and the queue goes on', async () => {
      await stage.rivetr.client.apps.update('shop', { releaseCommand: ['sleep', '305'] })
      const running = await app.push({ 'version.txt': 'one' })
      await reached(running, (deployment) => deployment.state === 'preparing')
      const { id: next } = await stage.rivetr.client.apps.deploy('shop')
      await stage.rivetr.client.apps.update('shop', { releaseCommand: null })
      const answers = await Promise.all(
        Array.from({ length: 5 }, () => stage.rivetr.client.deployments.cancel(running)),
      )
      assert.deepEqual(new Set(answers.map(({ state, reason }) => `${state}: ${reason}`)).size, 1)
      assert.equal(answers[0]?.state, 'cancelled')
      const deployment = await app.settled(next)
      assert.equal(deployment.state, 'live', deployment.reason)
      await assert.rejects(stage.rivetr.client.deployments.cancel(next), { code: 'conflict', status: 409 })
      assert.equal((await stage.rivetr.client.deployments.cancel(running)).state, 'cancelled')
    })

    test('the next push is live, and until then the old release has answered every request', async () => {
      const report = await load.stop()
      assert.ok(report.requests.length > 0)
      assert.deepEqual(report.failed, [])
      assert.deepEqual(
        new Set(report.requests.map(({ body }) => (JSON.parse(body) as { version: string }).version)),
        new Set(['one']),
      )
      const deployment = await app.pushAndSettle({ 'version.txt': 'two' })
      assert.equal(deployment.state, 'live', deployment.reason)
      assert.match((await fetchHost(stage.rivetr.proxyPort, '/version')).body, /"version":"two"/)
      await assert.rejects(stage.rivetr.client.deployments.cancel(deployment.id), { code: 'conflict' })
    })
  })
}

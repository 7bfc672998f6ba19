import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Deployment } from '@rivetr/sdk'
import { temporaryFolder, thisRunsEngine } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'
import { leftovers, leftoversAfter, type Place } from '../stage/leftovers.ts'
import { type StageRuntime, stageRuntime } from '../stage/runtimes.ts'
import { SlowGitServer } from '../stage/slow-git-server.ts'
import { Stage, type StageApp } from '../stage/stage.ts'

const host = 'shop.example.test'
// A machine with another lane of tests on it still starts a good replica, and fetches from a good server, within these.
const health = { kind: 'http', path: '/healthz', intervalMs: 200, timeoutMs: 1_000, deadlineMs: 6_000 }
const slowForSeconds = 5
const buildLimitMs = 12_000
const prepareLimitMs = 5_000
const goneMs = 10_000

/** Takes connections, and says nothing on them. */
const silent = 'require("net").createServer(() => {}).listen(process.env.PORT)\n'
/** Serves, and does not mind being asked to end. */
const deaf = `process.on('SIGTERM', () => console.log('not yet'))
require('http').createServer((request, response) => response.end(process.env.RIVETR_RELEASE)).listen(process.env.PORT)
`

for (const name of ['native', 'docker'] as const) {
  describe(`deadlines on ${name}`, () => {
    let runtime: StageRuntime
    let stage: Stage
    let app: StageApp
    let slow: SlowGitServer
    let appId: string
    let liveCommit: string

    before(async () => {
      runtime = await stageRuntime(name)
      slow = await SlowGitServer.listen()
      stage = await Stage.open({
        folder: await temporaryFolder(),
        config: {
          ...runtime.config,
          kernel: { build_timeout_ms: buildLimitMs, prepare_timeout_ms: prepareLimitMs },
          git: { slow_for_seconds: slowForSeconds },
        },
      })
      app = await stage.createApp('shop', runtime.example, { runtime: name, routes: [{ host }], health })
      const first = await app.pushAndSettle({ ...runtime.files, 'version.txt': 'one' })
      assert.equal(first.state, 'live', first.reason)
      appId = first.app.id
      liveCommit = await app.head()
    })

    /** As it was when it went live, whatever a test before has left. */
    beforeEach(async () => {
      await app.copy.git('checkout', '--quiet', liveCommit, '--', '.')
      await stage.rivetr.client.apps.update('shop', {
        source: { kind: 'git', url: app.repository.url, branch: 'main' },
        releaseCommand: null,
      })
    })

    after(async () => {
      await stage?.[Symbol.asyncDispose]()
      await slow?.[Symbol.asyncDispose]()
    })

    function placeOf({ id, release }: Deployment): Place {
      const engine = name === 'docker' ? thisRunsEngine().socketPath : undefined
      return {
        folder: stage.folder,
        deployment: id,
        engine,
        ...(release === undefined ? { app: appId } : {}),
      }
    }

    /** It failed at about its limit, leaves nothing (but the release that it had made), and the old one serves. */
    async function assertGivenUp(deployment: Deployment, step: string, limitMs: number): Promise<void> {
      assert.equal(deployment.state, 'failed')
      assert.equal(deployment.error?.step, step)
      const record = deployment.steps.at(-1)
      assert.equal(record?.step, step)
      assert.equal(record.outcome, 'failed')
      const tookMs = Date.parse(record.endedAt ?? '') - Date.parse(record.startedAt)
      assert.ok(tookMs >= limitMs - 50, `given up after ${tookMs} ms`)
      assert.ok(tookMs < limitMs + 6_000, `given up only after ${tookMs} ms`)
      assert.deepEqual(await leftoversAfter(placeOf(deployment), goneMs), [])
      const { status, body } = await fetchHost(stage.rivetr.proxyPort, '/version')
      assert.equal(status, 200)
      assert.match(body, /"version":"one"/)
    }

    test('a clone from a server that sends a byte a second is given up as too slow', async () => {
      const source = { kind: 'git', url: slow.url, branch: 'main' }
      await stage.rivetr.client.apps.update('shop', { source, check: false })
      const { id } = await stage.rivetr.client.apps.deploy('shop', { commit: liveCommit })
      const deployment = await app.settled(id)
      assert.equal(deployment.error?.code, 'source_failed')
      assert.match(deployment.reason ?? '', /too slow/)
      await assertGivenUp(deployment, 'fetch', (slowForSeconds - 1) * 1_000)
    })

    test('a build that prints nothing for ever ends at its limit', async () => {
      const deployment = await app.pushAndSettle(
        name === 'native'
          ? { 'package.json': JSON.stringify({ name: 'hello', scripts: { build: 'sleep 311' } }) }
          : { Dockerfile: `${runtime.files.Dockerfile}RUN sleep 311\n` },
      )
      assert.equal(deployment.error?.code, 'timed_out')
      assert.match(deployment.reason ?? '', /the step build did not end within 12 s/)
      await assertGivenUp(deployment, 'build', buildLimitMs)
    })

    test('a release command that does not end ends at its limit', async () => {
      await stage.rivetr.client.apps.update('shop', { releaseCommand: ['sleep', '312'] })
      const deployment = await app.pushAndSettle({ 'version.txt': 'never' })
      assert.equal(deployment.error?.code, 'timed_out')
      await assertGivenUp(deployment, 'prepare', prepareLimitMs)
    })

    test('a probe that never gets an answer fails the check at its deadline', async () => {
      const deployment = await app.pushAndSettle({ 'server.js': silent })
      assert.equal(deployment.error?.code, 'unhealthy')
      assert.match(deployment.reason ?? '', /did not become healthy within 6 s: .*within 1000 ms/)
      await assertGivenUp(deployment, 'check', health.deadlineMs)
    })

    test('U8: a replica that ignores SIGTERM is killed at its own limit', async () => {
      await stage.rivetr.client.apps.update('shop', { stopTimeoutMs: 1_000 })
      const first = await app.pushAndSettle({ 'server.js': deaf })
      assert.equal(first.state, 'live', first.reason)
      const [old] = first.replicas
      assert.ok(old)
      const second = await app.pushAndSettle({ 'version.txt': 'after the deaf one' })
      assert.equal(second.state, 'live', second.reason)
      for (const giveUpAt = Date.now() + 15_000; ; await sleep(50)) {
        const [replica] = (await stage.rivetr.client.deployments.get(first.id)).replicas
        if (replica?.state === 'stopped') break
        assert.ok(Date.now() < giveUpAt, `the old replica is ${replica?.state}`)
      }
      const left = await leftovers(placeOf(first))
      assert.deepEqual(
        left.filter((each) => /^(process|container)/.test(each)),
        [],
      )
      assert.equal((await fetchHost(stage.rivetr.proxyPort, '/')).body, `v${second.release}`)
    })
  })
}

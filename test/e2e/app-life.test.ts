import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { App } from '@rivetr/sdk'
import { eventually } from '@rivetr/testing/suites/eventually'
import { temporaryFolder, thisRunsEngine } from '../machine/this-run.ts'
import { rivetrCommand } from '../stage/command-line.ts'
import { fetchHost } from '../stage/host-request.ts'
import { leftoversAfter } from '../stage/leftovers.ts'
import { type StageRuntime, stageRuntime } from '../stage/runtimes.ts'
import { Stage, type StageApp } from '../stage/stage.ts'

const host = 'shop.example.test'
const falls = [
  'const server = require("http").createServer((request, response) => response.end("up"))',
  'server.listen(process.env.PORT)',
  'setTimeout(() => process.exit(7), 1_500)',
  '',
].join('\n')

const ails = [
  'let well = true',
  'const started = String(Date.now())',
  'const answer = (request, response) => {',
  '  if (request.url === "/ail") well = false',
  '  response.statusCode = well ? 200 : 500',
  '  response.end(started)',
  '}',
  'require("http").createServer(answer).listen(process.env.PORT)',
  '',
].join('\n')

for (const name of ['native', 'docker'] as const) {
  describe(`the life of an app on ${name}`, () => {
    let runtime: StageRuntime
    let stage: Stage
    let app: StageApp

    before(async () => {
      runtime = await stageRuntime(name)
      stage = await Stage.open({
        folder: await temporaryFolder(),
        config: { ...runtime.config, kernel: { drain_ms: 1_000, monitor_interval_ms: 500 } },
      })
      app = await stage.createApp('shop', runtime.example, {
        runtime: name,
        routes: [{ host }],
        health: {
          kind: 'http',
          intervalMs: 200,
          deadlineMs: 20_000,
          liveness: { intervalMs: 1_000, failures: 2 },
        },
      })
    })

    after(async () => {
      await stage?.[Symbol.asyncDispose]()
    })

    const cli = (...args: string[]) => rivetrCommand(stage.folder, ['apps', ...args])
    const answer = () => fetchHost(stage.rivetr.proxyPort, '/').then(({ status }) => status)

    async function reaches(state: App['state'], limitMs = 90_000): Promise<App> {
      for (const giveUpAt = Date.now() + limitMs; ; await sleep(50)) {
        const now = await stage.rivetr.client.apps.get('shop')
        if (now.state === state) return now
        assert.ok(Date.now() < giveUpAt, `${now.state}: ${now.stateReason}`)
      }
    }

    test('one that ends again and again is a crash loop, with its exit code, until another release is live', async () => {
      const { state, reason } = await app.pushAndSettle({ ...runtime.files, 'server.js': falls })
      assert.equal(state, 'live', reason)
      const { stateReason } = await reaches('crash-loop')
      assert.match(stateReason ?? '', /^web\.1 ended \d+ times in a row, the last time with exit code 7$/)
      const shown = await cli('show', 'shop')
      assert.match(shown.stdout, /^state +crash-loop: web\.1 ended/m)
      const well = await readFile(join(runtime.example, 'server.js'), 'utf8')
      const mended = await app.pushAndSettle({ 'server.js': well })
      assert.equal(mended.state, 'live', mended.reason)
      assert.equal((await reaches('running')).stateReason, undefined)
    })

    test('one that runs and is unwell is started again, and says why', async () => {
      const { state, reason } = await app.pushAndSettle({ 'server.js': ails })
      assert.equal(state, 'live', reason)
      const { body: first } = await fetchHost(stage.rivetr.proxyPort, '/')
      await fetchHost(stage.rivetr.proxyPort, '/ail')
      await eventually(
        'another process',
        async () => {
          const { status, body } = await fetchHost(stage.rivetr.proxyPort, '/')
          return status === 200 && body !== first ? body : undefined
        },
        60_000,
      )
      const { stateReason } = await stage.rivetr.client.apps.get('shop')
      assert.match(stateReason ?? '', /^web\.1 ended once, because it was unwell: .*500/)
    })

    test('one that is stopped stays so over a kill of Rivetr, and comes back when it is started', async () => {
      const { live } = await stage.rivetr.client.apps.get('shop')
      const place = { folder: stage.folder, deployment: live?.deployment ?? '', ...engine() }
      assert.equal((await cli('stop', 'shop')).exitCode, 0)
      assert.equal(await answer(), 503)
      assert.deepEqual(await leftoversAfter(place, 30_000), [])
      await stage.rivetr.kill()
      await stage.rivetr.start()
      assert.equal((await stage.rivetr.client.apps.get('shop')).state, 'stopped')
      assert.equal(await answer(), 503)
      assert.equal((await cli('start', 'shop')).exitCode, 0)
      assert.equal((await stage.rivetr.client.apps.get('shop')).state, 'running')
      assert.equal(await answer(), 200)
    })

    test('one that is restarted has other replicas of the same commit', async () => {
      const before = await app.standing()
      assert.equal((await cli('restart', 'shop')).exitCode, 0)
      const { live, state } = await stage.rivetr.client.apps.get('shop')
      assert.equal(state, 'running')
      assert.equal(live?.commit, await app.head())
      assert.ok((await app.standing()).some((replica) => !before.includes(replica)))
    })

    test('one that is deleted leaves nothing', async () => {
      const { id, live } = await stage.rivetr.client.apps.get('shop')
      assert.equal((await cli('delete', 'shop', '--yes')).exitCode, 0)
      const place = { folder: stage.folder, deployment: live?.deployment ?? '', app: id, ...engine() }
      assert.deepEqual(await leftoversAfter(place, 30_000), [])
      assert.equal(await answer(), 404)
    })

    const engine = () => ({ engine: name === 'docker' ? thisRunsEngine().socketPath : undefined })
  })
}

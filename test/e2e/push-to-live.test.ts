import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Load, type LoadReport } from '../machine/load.ts'
import { temporaryFolder } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'
import { type StageRuntime, stageRuntime } from '../stage/runtimes.ts'
import { Stage, type StageApp } from '../stage/stage.ts'

const host = 'shop.example.test'

for (const name of ['native', 'docker', 'podman'] as const) {
  describe(`push to live on ${name}`, () => {
    let runtime: StageRuntime
    let stage: Stage
    let app: StageApp

    before(async () => {
      runtime = await stageRuntime(name)
      stage = await Stage.open({ folder: await temporaryFolder(), config: runtime.config })
      app = await stage.createApp('shop', runtime.example, {
        runtime: name,
        routes: [{ host }],
        health: { kind: 'http', path: '/healthz', intervalMs: 200, deadlineMs: 5_000 },
        env: { GREETING: { value: 'first' } },
      })
    })

    after(async () => {
      await stage?.[Symbol.asyncDispose]()
      await runtime?.close()
    })

    async function version(): Promise<{ version: string; greeting: string }> {
      const response = await fetchHost(stage.rivetr.proxyPort, '/version')
      assert.equal(response.status, 200)
      return JSON.parse(response.body) as { version: string; greeting: string }
    }

    test('a push arrives as a webhook and is live by host name', async () => {
      const deployment = await app.pushAndSettle({ ...runtime.files, 'version.txt': 'one' })
      assert.equal(deployment.state, 'live', deployment.reason)
      assert.equal(deployment.trigger.kind, 'push')
      assert.deepEqual(
        deployment.steps.slice(0, 6).map(({ step, outcome }) => `${step} ${outcome}`),
        ['fetch done', 'build done', 'prepare done', 'start done', 'check done', 'switch done'],
      )
      assert.deepEqual(await only(version()), { version: 'one', greeting: 'first' })
    })

    test('a second push under 100 requests a second loses none and never shows the old one again', async () => {
      const load = new Load({ port: stage.rivetr.proxyPort, host, path: '/version', requestsPerSecond: 100 })
      await load.more(100)
      await stage.rivetr.client.apps.changeEnv('shop', { set: { GREETING: { value: 'second' } } })
      const deployment = await app.pushAndSettle({ 'version.txt': 'two' })
      await load.more(100)
      const report = await load.stop()
      assert.equal(deployment.state, 'live', deployment.reason)
      assert.ok(report.requests.length > 200)
      assert.deepEqual(report.failed, [])
      assert.equal(report.resets, 0)
      assert.deepEqual(shownAfterNew(report, 'two'), [])
      assert.deepEqual(await only(version()), { version: 'two', greeting: 'second' })
    })

    const failures: readonly {
      title: string
      files: () => Readonly<Record<string, string>>
      undo: () => Readonly<Record<string, string | null>>
      code: string
      step: string
      says: RegExp
    }[] = [
      {
        title: 'a push that does not build',
        files: () => runtime.broken,
        undo: () => runtime.mended,
        code: 'build_failed',
        step: 'build',
        says: /the build breaks here/,
      },
      {
        title: 'a push that exits at start',
        files: () => ({ 'server.js': 'console.error("no licence file"); process.exit(7)\n' }),
        undo: () => ({}),
        code: 'replica_failed',
        step: 'check',
        says: /no licence file/,
      },
      {
        title: 'a push that never becomes healthy',
        files: () => ({
          'server.js':
            'console.log("up, but not well"); require("http").createServer((q, r) => { r.statusCode = 500; r.end() }).listen(process.env.PORT)\n',
        }),
        undo: () => ({}),
        code: 'unhealthy',
        step: 'check',
        says: /up, but not well/,
      },
    ]
    for (const { title, files, undo, code, step, says } of failures) {
      test(`${title} leaves the old release serving, and says why`, async () => {
        const standing = await app.standing()
        const load = new Load({ port: stage.rivetr.proxyPort, host, path: '/version', requestsPerSecond: 50 })
        const deployment = await app.pushAndSettle(files())
        const report = await load.stop()
        await app.copy.write(undo())
        assert.equal(deployment.state, 'failed')
        assert.equal(deployment.error?.code, code)
        assert.equal(deployment.error?.step, step)
        assert.match(deployment.lastLines.join('\n'), says)
        assert.deepEqual(report.failed, [])
        assert.deepEqual(
          new Set(report.requests.map(({ body }) => (JSON.parse(body) as { version: string }).version)),
          new Set(['two']),
        )
        assert.deepEqual(await app.standing(), standing)
      })
    }

    test('a rollback brings back image and env', async () => {
      const { items } = await stage.rivetr.client.apps.deployments('shop')
      const first = items.at(-1)
      assert.ok(first)
      const load = new Load({ port: stage.rivetr.proxyPort, host, path: '/version', requestsPerSecond: 100 })
      const rollback = await app.settled((await stage.rivetr.client.deployments.rollback(first.id)).id)
      await load.more(50)
      const report = await load.stop()
      assert.equal(rollback.state, 'live', rollback.reason)
      assert.equal(rollback.release, 1)
      assert.deepEqual(report.failed, [])
      assert.deepEqual(await only(version()), { version: 'one', greeting: 'first' })
    })
  })
}

/** Answers with something else than the new version, to requests sent after the new one had been seen. */
function shownAfterNew(report: LoadReport, version: string): readonly unknown[] {
  const isNew = (body: string) => body.includes(`"version":"${version}"`)
  const firstNew = Math.min(
    ...report.requests.filter(({ body }) => isNew(body)).map(({ answeredAtMs }) => answeredAtMs),
  )
  assert.ok(Number.isFinite(firstNew), 'the new version was never seen')
  return report.requests.filter(({ body, sentAtMs }) => sentAtMs > firstNew && !isNew(body))
}

async function only(
  answer: Promise<{ version: string; greeting: string }>,
): Promise<{ version: string; greeting: string }> {
  const { version, greeting } = await answer
  return { version, greeting }
}

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type AppChange, type DeploymentState, healthSettings } from '@rivetr/sdk'
import { until } from '../chaos/until.ts'
import { temporaryFolder, thisRunsEngine } from '../machine/this-run.ts'
import { leftovers, type Place } from '../stage/leftovers.ts'
import { type StageRuntime, stageRuntime } from '../stage/runtimes.ts'
import { SlowGitServer } from '../stage/slow-git-server.ts'
import { Stage, type StageApp } from '../stage/stage.ts'

/** A check that never answers. */
const hanging = healthSettings.parse({
  kind: 'command',
  command: ['sleep', '313'],
  timeoutMs: 50_000,
  deadlineMs: 60_000,
})

for (const name of ['native', 'docker'] as const) {
  describe(`B4: what a killed kernel left running on ${name} is ended by the next start:`, () => {
    let runtime: StageRuntime
    let stage: Stage
    let app: StageApp
    let slow: SlowGitServer

    before(async () => {
      runtime = await stageRuntime(name)
      slow = await SlowGitServer.listen()
      stage = await Stage.open({ folder: await temporaryFolder(), config: runtime.config })
      app = await stage.createApp('shop', runtime.example, { runtime: name })
      const first = await app.pushAndSettle({ ...runtime.files, 'version.txt': 'one' })
      assert.equal(first.state, 'live', first.reason)
    })

    after(async () => {
      await stage?.[Symbol.asyncDispose]()
      await slow?.[Symbol.asyncDispose]()
    })

    async function programsOf(deployment: string): Promise<string[]> {
      const engine = name === 'docker' ? thisRunsEngine().socketPath : undefined
      const place: Place = { folder: stage.folder, deployment, engine }
      return (await leftovers(place)).filter((left) => /^(process|container)/.test(left))
    }

    const slowBuild = () =>
      name === 'native'
        ? { 'package.json': JSON.stringify({ name: 'hello', scripts: { build: 'sleep 311' } }) }
        : { Dockerfile: `${runtime.files.Dockerfile}RUN sleep 311\n` }

    interface Row {
      readonly what: string
      readonly state: DeploymentState
      readonly settings?: () => Partial<AppChange>
      readonly files?: () => Readonly<Record<string, string>>
      /** Tells the program among those of the deployment. */
      readonly program: RegExp
    }

    const rows: readonly Row[] = [
      {
        what: 'a clone',
        state: 'fetching',
        settings: () => ({ source: { kind: 'git', url: slow.url, branch: 'main' }, check: false }),
        program: /git.* fetch|git.* ls-remote|git-remote/,
      },
      { what: 'a build command', state: 'building', files: slowBuild, program: /sleep 311/ },
      {
        what: 'a release command',
        state: 'preparing',
        settings: () => ({ releaseCommand: ['sleep', '312'] }),
        program: /sleep 312/,
      },
      // On an engine it runs inside of the replica, and ends with that.
      ...(name === 'native'
        ? [
            {
              what: 'a health check',
              state: 'checking' as const,
              settings: () => ({ health: hanging }),
              program: /sleep 313/,
            },
          ]
        : []),
    ]

    for (const { what, state, settings, files, program } of rows) {
      test(what, async () => {
        const { client } = stage.rivetr
        const source = { kind: 'git' as const, url: app.repository.url, branch: 'main' }
        await client.apps.update('shop', { source, releaseCommand: null, health: null, ...settings?.() })
        const id =
          state === 'fetching'
            ? (await client.apps.deploy('shop', { commit: await app.head() })).id
            : await app.push({ ...runtime.mended, ...runtime.files, ...files?.(), 'version.txt': what })
        const running = async () => (await programsOf(id)).filter((line) => program.test(line))
        await until(what, async () => (await running()).length > 0)
        assert.equal((await client.deployments.get(id)).state, state)
        await stage.rivetr.kill()
        const left = await running()
        // What an engine does for a client that is gone it may have ended by itself, and so may a clone: the kernel dials for it.
        if (name === 'native' && state !== 'fetching') assert.notDeepEqual(left, [])
        await stage.rivetr.start()
        await until(`end of ${left.join(', ')}`, async () => {
          const now = await programsOf(id)
          return left.every((line) => !now.includes(line))
        })
        const { state: after } = await client.deployments.get(id)
        if (after !== 'failed') await client.deployments.cancel(id)
        await until('end of everything of the deployment', async () => (await programsOf(id)).length === 0)
      })
    }

    test('and the next push is live', async () => {
      const source = { kind: 'git' as const, url: app.repository.url, branch: 'main' }
      await stage.rivetr.client.apps.update('shop', { source, releaseCommand: null, health: null })
      const deployment = await app.pushAndSettle({ ...runtime.mended, 'version.txt': 'last' })
      assert.equal(deployment.state, 'live', deployment.reason)
    })
  })
}

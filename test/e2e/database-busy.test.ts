import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, test } from 'node:test'
import type { Step } from '@rivetr/sdk'
import { releaseLine } from '../chaos/app-files.ts'
import { type ChaosApp, ChaosScene } from '../chaos/scene.ts'
import { until } from '../chaos/until.ts'
import { Load } from '../machine/load.ts'
import { temporaryFolder } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'

interface Moment {
  readonly app: string
  readonly ends: 'failed' | 'live'
  /** Where it fails; by itself the app's name. */
  readonly step?: Step
  /** Brings a new deployment of the app there. */
  reach(app: ChaosApp): Promise<string>
  /** Lets it go on. */
  release(scene: ChaosScene): Promise<void>
}

function inHook(hook: string, app: string, ends: Moment['ends'] = 'failed'): Moment {
  const name = `${hook}@${app}`
  return {
    app,
    ends,
    async reach(stopped) {
      await stopped.scene.pauses.hold(name)
      const id = await stopped.push()
      await stopped.scene.pauses.reached(name)
      return id
    },
    release: ({ pauses }) => pauses.release(name),
  }
}

/** An app for each step: one lock then meets them all. What ends by itself is reached last. */
const moments: readonly Moment[] = [
  {
    app: 'fetch',
    ends: 'failed',
    async reach(app) {
      app.scene.git.hold('acme/fetch')
      const id = await app.push()
      await app.scene.git.reached()
      return id
    },
    release: async ({ git }) => git.release(),
  },
  inHook('preBuild', 'build'),
  inHook('preStart', 'start'),
  { ...inHook('preSwitch', 'check'), step: 'switch' }, // the first write is that of the next step
  {
    ...inHook('preSwitch', 'switch', 'live'),
    release: ({ pauses }) => pauses.release('routeResolve@switch'),
  },
  {
    app: 'prepare',
    ends: 'failed',
    async reach(app) {
      const id = await app.push({ 'release.sh': `echo '${releaseLine}'\nsleep 20\n` })
      await until('release command', async () => (await app.logOf(id)).includes(releaseLine))
      return id
    },
    release: async () => undefined,
  },
]

/** Past its commit point, where no hook may stop a deployment for long. */
async function intoSwitch({ pauses }: ChaosScene): Promise<void> {
  await pauses.hold('routeResolve@switch')
  await pauses.release('preSwitch@switch')
  await pauses.reached('routeResolve@switch')
}

for (const runtime of ['native', 'docker'] as const) {
  describe(`another program holds the database on ${runtime} for longer than anybody waits`, () => {
    let scene: ChaosScene
    const apps = new Map<string, ChaosApp>()
    const ids = new Map<string, string>()
    const appOf = (moment: Moment) => apps.get(moment.app) as ChaosApp
    const served = ({ host }: ChaosApp) =>
      fetchHost(scene.stage.rivetr.proxyPort, '/', host).then(({ body }) => body)

    before(async () => {
      scene = await ChaosScene.open({
        folder: await temporaryFolder(),
        runtime,
        kernel: { max_builds: moments.length, start_timeout_ms: 300_000, switch_timeout_ms: 300_000 },
      })
      for (const { app } of moments)
        apps.set(app, await scene.createApp(app, { releaseCommand: ['sh', 'release.sh'] }))
      const first = async (app: ChaosApp) => app.app.settled(await app.push(), 300_000)
      for (const { state, reason } of await Promise.all([...apps.values()].map(first)))
        assert.equal(state, 'live', reason)
    })

    after(() => scene?.[Symbol.asyncDispose]())

    test('in every step at once: old releases serve, reads go on, and nothing ends before it can be written', async () => {
      const { rivetr } = scene.stage
      const reach = async (moment: Moment) => ids.set(moment.app, await moment.reach(appOf(moment)))
      await Promise.all(moments.slice(0, -1).map(reach))
      await Promise.all(moments.slice(-1).map(reach))
      await intoSwitch(scene)
      const port = rivetr.proxyPort
      const loads = [...apps.values()].map(({ host }) => new Load({ port, host, requestsPerSecond: 10 }))
      const holder = new DatabaseSync(join(rivetr.folder, 'data', 'rivetr.db'), { timeout: 20_000 })
      try {
        holder.exec('begin immediate')
        for (const moment of moments) await moment.release(scene)
        const logged = async (id: string) =>
          new RegExp(`deployment ${id} (of \\S+ failed|is live could not be written)`).test(
            await rivetr.log(),
          )
        for (const { app } of moments) await until(`failed write of ${app}`, () => logged(ids.get(app) ?? ''))
        await assert.rejects(rivetr.client.apps.update('fetch', { port: 3000 }), {
          code: 'unavailable',
          message: /held by another program/,
        })
        for (const moment of moments)
          assert.equal(await served(appOf(moment)), moment.ends === 'live' ? 'v2' : 'v1', moment.app)
      } finally {
        holder.exec('rollback')
        holder.close()
      }
      for (const load of loads) assert.deepEqual((await load.stop()).failed, [])
    })

    for (const moment of moments)
      test(`${moment.app}: afterwards it is ${moment.ends}, and the next is live`, async () => {
        const app = appOf(moment)
        const ended = await app.app.settled(ids.get(moment.app) ?? '')
        assert.equal(ended.state, moment.ends, ended.reason)
        if (moment.ends === 'failed') {
          assert.match(ended.reason ?? '', /the database is held by another program for more than \d+ s/)
          assert.equal(ended.error?.step, moment.step ?? moment.app)
        }
        assert.deepEqual(
          ended.steps.filter(({ outcome }) => outcome === 'running'),
          [],
        )
        const next = await app.app.settled(await app.push())
        assert.equal(next.state, 'live', next.reason)
        assert.equal(await served(app), app.version)
      })
  })
}

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Step } from '@rivetr/sdk'
import { Load } from '../machine/load.ts'
import { fetchHost } from '../stage/host-request.ts'
import { releaseLine } from './app-files.ts'
import { type ChaosApp, type ChaosOptions, ChaosScene } from './scene.ts'
import { until } from './until.ts'

/** For longer than anybody waits for it, nobody can use the database. */
export interface Outage {
  readonly runtime: ChaosOptions['runtime']
  /** The folder of the scene, and more of `[kernel]`. */
  open(): Promise<Pick<ChaosOptions, 'folder' | 'kernel'>>
  begin(scene: ChaosScene): Promise<void>
  end(): Promise<void>
  /** How the API refuses a write meanwhile, and why deployments failed afterwards. */
  readonly reason: RegExp
}

/** Lets the outage meet deployments in every step at once; to be called inside of a `describe`. */
export function testOutage(outage: Outage): void {
  let scene: ChaosScene
  const apps = new Map<string, ChaosApp>()
  const ids = new Map<string, string>()
  const appOf = (moment: Moment) => apps.get(moment.app) as ChaosApp
  const served = ({ host }: ChaosApp) =>
    fetchHost(scene.stage.rivetr.proxyPort, '/', host).then(({ body }) => body)

  before(async () => {
    const { folder, kernel } = await outage.open()
    scene = await ChaosScene.open({
      folder,
      runtime: outage.runtime,
      kernel: {
        max_builds: moments.length,
        start_timeout_ms: 300_000,
        switch_timeout_ms: 300_000,
        ...kernel,
      },
    })
    for (const { app } of moments)
      apps.set(app, await scene.createApp(app, { releaseCommand: ['sh', 'release.sh'] }))
    const first = async (app: ChaosApp) => app.app.settled(await app.push(), 300_000)
    for (const { state, reason } of await Promise.all([...apps.values()].map(first)))
      assert.equal(state, 'live', reason)
  })

  after(() => scene?.[Symbol.asyncDispose]())

  test('in every step at once: old releases serve, and nothing ends before it can be written', async () => {
    const { rivetr } = scene.stage
    const reach = async (moment: Moment) => ids.set(moment.app, await moment.reach(appOf(moment)))
    await Promise.all(moments.slice(0, -1).map(reach))
    await Promise.all(moments.slice(-1).map(reach))
    await intoSwitch(scene)
    const port = rivetr.proxyPort
    const loads = [...apps.values()].map(({ host }) => new Load({ port, host, requestsPerSecond: 10 }))
    try {
      await outage.begin(scene)
      for (const moment of moments) await moment.release(scene)
      const waiting = (id: string) =>
        new RegExp(
          `deployment ${id} (of \\S+ failed|is live could not be written)|what is known of deployment ${id} could`,
        )
      const logged = async (id: string) => waiting(id).test(await rivetr.log())
      for (const { app } of moments) await until(`failed write of ${app}`, () => logged(ids.get(app) ?? ''))
      await assert.rejects(rivetr.client.apps.update('fetch', { port: 3000 }), {
        code: 'unavailable',
        message: outage.reason,
      })
      for (const moment of moments)
        assert.equal(await served(appOf(moment)), moment.ends === 'live' ? 'v2' : 'v1', moment.app)
    } finally {
      await outage.end()
    }
    for (const load of loads) assert.deepEqual((await load.stop()).failed, [])
  })

  for (const moment of moments)
    test(`${moment.app}: afterwards it is ${moment.ends}, and the next is live`, async () => {
      const app = appOf(moment)
      const ended = await app.app.settled(ids.get(moment.app) ?? '')
      assert.equal(ended.state, moment.ends, ended.reason)
      if (moment.ends === 'failed') {
        assert.match(ended.reason ?? '', outage.reason)
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
}

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

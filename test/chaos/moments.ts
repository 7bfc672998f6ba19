import type { ChaosApp } from './scene.ts'
import { until } from './until.ts'

/** A moment of a deployment, in which something breaks. */
export interface Moment {
  /** The deployment's state, and where in it. */
  readonly name: string
  /** How the deployment must end where the kernel ended at that moment. */
  readonly ends: 'live' | 'failed'
  /** Brings a new deployment into the state and returns its id. */
  reach(app: ChaosApp): Promise<string>
  /** Afterwards: takes away what stopped it. */
  release(app: ChaosApp, deployment: string): Promise<void>
}

function inHook(name: string, hook: string): Moment {
  return {
    name,
    ends: 'live',
    async reach(app) {
      await app.scene.pauses.hold(hook)
      const id = await app.push()
      await app.scene.pauses.reached(hook)
      return id
    },
    release: ({ scene }) => scene.pauses.release(hook),
  }
}

/** In the order of the states; the hardest of each state stands last. */
export const moments: readonly Moment[] = [
  inHook('queued, in preDeploy', 'preDeploy'),
  {
    name: 'queued, behind another',
    ends: 'live',
    async reach(app) {
      await app.scene.pauses.hold('preBuild')
      await app.push()
      await app.scene.pauses.reached('preBuild')
      return app.push()
    },
    release: ({ scene }) => scene.pauses.release('preBuild'),
  },
  waitingAt('preDeploy'),
  waitingAt('preSwitch'),
  {
    name: 'fetching',
    ends: 'live',
    async reach(app) {
      app.scene.git.hold()
      const id = await app.push()
      await app.scene.git.reached()
      return id
    },
    async release({ scene }) {
      scene.git.release()
    },
  },
  inHook('building, in preBuild', 'preBuild'),
  inHook('building, in envResolve', 'envResolve'),
  inHook('building, in specResolve', 'specResolve'),
  {
    name: 'building, in a command',
    ends: 'live',
    async reach(app) {
      const id = await app.push(app.scene.files.slowBuild)
      await printed(app, id, /^building$/)
      return id
    },
    async release() {},
  },
  {
    name: 'preparing, in the release command',
    // Nobody but a person may run half a release command again.
    ends: 'failed',
    async reach(app) {
      const id = await app.push(app.scene.files.slowRelease)
      await printed(app, id, /^the release command runs$/)
      return id
    },
    async release() {},
  },
  inHook('starting, in preStart', 'preStart'),
  {
    name: 'starting, as the replica does',
    ends: 'live',
    async reach(app) {
      const id = await app.push()
      const { client } = app.scene.stage.rivetr
      await until('replica in the rows', async () => (await client.deployments.get(id)).replicas.length > 0)
      return id
    },
    async release() {},
  },
  inHook('checking, in preSwitch', 'preSwitch'),
  inHook('checking, in healthCheck', 'healthCheck'),
  {
    ...inHook('switching, past the commit point', 'routeResolve'),
    async reach(app) {
      await app.scene.pauses.hold('routeResolve')
      const id = await app.push()
      await app.scene.pauses.reached('routeResolve')
      const { state } = await app.scene.stage.rivetr.client.deployments.get(id)
      if (state !== 'switching') throw new Error(`the deployment is ${state}, not switching`)
      return id
    },
  },
  {
    name: 'live, while the old one drains',
    ends: 'live',
    async reach(app) {
      await app.askSlowly()
      const id = await app.push()
      const { state } = await app.app.settled(id)
      if (state !== 'live') throw new Error(`the deployment is ${state}, not live`)
      return id
    },
    async release(app) {
      app.endSlowRequests()
    },
  },
]

/** One of each state. */
export const hardestMoments: readonly Moment[] = [
  ...new Map(moments.map((moment) => [moment.name.split(',', 1)[0], moment])).values(),
]

/** It waits over the restart, and only then somebody promotes it. */
function waitingAt(gate: 'preDeploy' | 'preSwitch'): Moment {
  return {
    name: `waiting, for ${gate}`,
    ends: 'live',
    async reach(app) {
      await app.scene.pauses.say(gate, 'wait')
      const id = await app.push()
      const { client } = app.scene.stage.rivetr
      await until('wait', async () => (await client.deployments.get(id)).state === 'waiting')
      return id
    },
    async release({ scene }, deployment) {
      const { client } = scene.stage.rivetr
      const { state, reason } = await client.deployments.get(deployment)
      if (state !== 'waiting' || reason !== 'needs a promotion')
        throw new Error(`after the start it is ${state} (${reason}), not waiting for a promotion`)
      await client.deployments.promote(deployment)
      await until('end of the wait', async () =>
        ['live', 'failed'].includes((await client.deployments.get(deployment)).state),
      )
      await scene.pauses.say(gate, 'pass')
    },
  }
}

async function printed(app: ChaosApp, deployment: string, line: RegExp): Promise<void> {
  await until(`${line} in the log`, async () => (await app.logOf(deployment)).some((text) => line.test(text)))
}

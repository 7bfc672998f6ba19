import type { Deployment } from '@rivetr/sdk'
import { Load } from '../machine/load.ts'
import { fetchHost } from '../stage/host-request.ts'
import { releaseLine } from './app-files.ts'
import type { Fault } from './faults.ts'
import type { Moment } from './moments.ts'
import { runningReplicas, strayPrograms } from './running.ts'
import type { ChaosApp } from './scene.ts'
import { until } from './until.ts'

const settleLimitMs = 60_000
/** Within this time after a deployment everything of the ones before must be gone. */
const tidyLimitMs = 20_000

/** Breaks something at one moment of a deployment, under load; returns which invariants are violated. */
export async function survive(app: ChaosApp, fault: Fault, moment: Moment): Promise<string[]> {
  const { scene } = app
  const { rivetr } = scene.stage
  const before = (await app.deployments()).length
  const violations: string[] = []
  const claim = (holds: boolean, violation: string) => {
    if (!holds) violations.push(violation)
  }
  const load = new Load({ port: rivetr.proxyPort, host: app.host, requestsPerSecond: 50 })
  try {
    const hit = await moment.reach(app)
    const version = app.version
    await fault.strike(scene)
    await moment.release(app, hit)
    const ends = fault.endsKernel ? moment.ends : 'live'

    const ended = await app.app.settled(hit, settleLimitMs)
    claim(ended.state === ends, `the deployment is ${ended.state} (${ended.reason}), not ${ends}`)
    if (ended.state === 'failed') claim(Boolean(ended.reason), 'it failed without a reason')
    if (ended.state === 'live')
      claim((await served(app)) === version, `live is ${version}, but ${await served(app)} serves`)

    const live = (await app.deployments()).find(({ state }) => state === 'live')
    if (live === undefined) violations.push('no deployment is live')
    else violations.push(...(await untidy(app, live)))

    const next = await app.app.settled(await app.push(), settleLimitMs)
    claim(next.state === 'live', `the next push is ${next.state}: ${next.reason}`)
    claim((await served(app)) === app.version, `the next version does not serve`)
    const all = await app.deployments()
    claim(all.length === app.pushed, `of ${app.pushed} pushes there are ${all.length} deployments`)
    const mine = all.slice(0, all.length - before)
    claim(all.filter(({ state }) => state === 'live').length === 1, 'more than one deployment is live')
    for (const each of mine) violations.push(...(await faultsOf(app, each)))
    violations.push(...(await untidy(app, next)))
  } catch (error) {
    violations.push(error instanceof Error ? error.message : String(error))
    await scene.pauses.clear()
    scene.git.release()
  }
  const { failed, requests } = await load.stop()
  claim(requests.length > 50, 'there was no load')
  claim(failed.length === 0, `${failed.length} of ${requests.length} requests failed: ${describe(failed)}`)
  violations.push(...(await app.slowFaults()))
  return violations
}

/** What every deployment owes, however it went. */
async function faultsOf(app: ChaosApp, deployment: Deployment): Promise<string[]> {
  const { id, state, steps, reason } = deployment
  const found: string[] = []
  if (!['live', 'retired', 'failed'].includes(state)) found.push(`${id} is still ${state} (${reason})`)
  const unended = steps.filter(({ outcome, step }) => outcome === 'running' && step !== 'retire')
  if (unended.length > 0) found.push(`${id}: ${unended.map(({ step }) => step).join(', ')} never ended`)
  const runs = (await app.logOf(id)).filter((text) => text === releaseLine).length
  if (runs > 1) found.push(`${id}: its release command ran ${runs} times`)
  return found
}

/** Exactly the replicas of the live deployment run, and no program of any other works on. */
async function untidy(app: ChaosApp, live: Deployment): Promise<string[]> {
  // An attempt that the kill cut off has replicas in the rows, too: they have ended, and the last attempt's one stands.
  const ended = ['stopped', 'crashed']
  const wanted = live.replicas.filter(({ state }) => !ended.includes(state)).map(({ id }) => id)
  if (wanted.length !== 1) return [`${wanted.length} replicas of ${live.id} stand, not 1`]
  let running: string[] = []
  let standing: string[] = []
  let strays: string[] = []
  const tidy = async () => {
    running = await runningReplicas(app.scene)
    standing = (await app.app.standing()).sort()
    strays = await strayPrograms(app.scene)
    return `${running}` === `${wanted}` && `${standing}` === `${wanted}` && strays.length === 0
  }
  try {
    await until('tidiness', tidy, tidyLimitMs)
    return []
  } catch {
    return [
      ...(`${running}` === `${wanted}` ? [] : [`replicas ${running} run, not ${wanted}`]),
      ...(`${standing}` === `${wanted}` ? [] : [`the rows say that ${standing} stand, not ${wanted}`]),
      ...strays.map((stray) => `still works: ${stray}`),
    ]
  }
}

async function served({ scene, host }: ChaosApp): Promise<string> {
  const { status, body } = await fetchHost(scene.stage.rivetr.proxyPort, '/', host)
  return status === 200 ? body : String(status)
}

function describe(failed: readonly { readonly status: number; readonly errorCode?: string }[]): string {
  return [...new Set(failed.map(({ status, errorCode }) => errorCode ?? String(status)))].join(', ')
}

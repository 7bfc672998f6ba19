import { messageOf, type ReplicaStatus, type Runtime, Runtime as RuntimeToken } from '@rivetr/sdk'
import { DeploymentRow } from '../data/entities/index.ts'
import { errorFields } from '../host/logger.ts'
import { clean } from './clean.ts'
import type { DeploymentRecord } from './ledger.ts'
import type { Monitor } from './monitor.ts'
import type { DeployParts } from './parts.ts'
import type { Queue } from './queue.ts'
import { restartable } from './states.ts'
import { endCutPostDeploys } from './steps/post-deploy.ts'
import { finishSwitch } from './steps/switch.ts'
import { untilWritten } from './until-written.ts'

/** How long a runtime may take at boot to answer, before what it runs is left for the next sweep. */
const runtimeLimitMs = 30_000

/**
 * What a boot does about the boot before: live replicas run and are routed at once, a switch past its commit point rolls
 * forward, interrupted work is cleaned and queued again, old replicas go on draining, strays of ours are removed.
 */
export async function recover(
  parts: DeployParts,
  queue: Queue,
  monitor: Monitor,
  stopping: AbortSignal,
): Promise<void> {
  const { ledger, tables, log, database } = parts
  await monitor.restore()
  const unfinished = await endCutPostDeploys(parts)
  const published = tables.publishForCertain(stopping)
  published.catch(() => undefined)
  const switching = await ledger.find({ state: 'switching' })
  const rolledForward = switching.map((row) =>
    queue.occupy(row, async () => {
      await published
      await untilWritten(parts, `that deployment ${row.id} is live`, stopping, () =>
        finishSwitch({ id: row.id, parts }),
      )
    }),
  )
  const switchingApps = new Set(switching.map(({ app }) => app))
  for (const row of unfinished) if (!switchingApps.has(row.app)) void queue.occupy(row, () => published)
  for (const row of await ledger.find({ state: { $in: [...restartable] } })) {
    await restart(parts, row).catch(async (error: unknown) => {
      log.error(`deployment ${row.id} was not recovered`, errorFields(error))
      await giveUp(parts, row, error)
    })
  }
  // Until then the edges may send requests to them.
  const draining = new Set((await ledger.replicas({ state: 'draining' })).map(({ app }) => app))
  void Promise.all([published, ...rolledForward]).then(
    () => {
      for (const app of draining) queue.retire(app)
    },
    () => undefined, // Rivetr stops
  )
  await sweep(parts)
  log.info('recovered', { queued: await database.rows.count(DeploymentRow, { state: 'queued' }) })
}

/** Back to the queue, except where a release command may have run half-way: nobody but a person may run that again. */
async function restart(parts: DeployParts, row: DeploymentRecord): Promise<void> {
  const { ledger } = parts
  await clean(parts, row.id)
  const release = row.release ? await ledger.release(row.release) : undefined
  const steps = await ledger.steps(row.id)
  await ledger.endSteps(row.id, 'failed')
  const half = steps.some(
    ({ step, outcome, attempt }) => step === 'prepare' && outcome === 'running' && attempt === row.attempt,
  )
  if (half && release?.releaseCommand && row.trigger !== 'rollback' && row.trigger !== 'restart') {
    const message =
      'Rivetr was stopped while the release command ran; it is not run twice by itself: look at what it did, then deploy again'
    await ledger.move(row.id, ['preparing'], 'failed', {
      reason: message,
      error: { code: 'cancelled', message, step: 'prepare' },
    })
    return
  }
  await ledger.move(row.id, restartable, 'queued', {
    attempt: row.attempt + 1,
    reason: `started again: Rivetr was stopped while it was ${row.state}`,
  })
}

/** What cannot be cleaned cannot be started again; left as it is, it would hold up its app for ever. */
async function giveUp({ ledger }: DeployParts, row: DeploymentRecord, error: unknown): Promise<void> {
  const message = `Rivetr was stopped while it was ${row.state}, and what was left of it could not be removed: ${messageOf(error)}`
  await ledger.endSteps(row.id, 'failed')
  await ledger.move(row.id, restartable, 'failed', { reason: message, error: { code: 'internal', message } })
}

async function statusesOf(runtime: Runtime): Promise<Map<string, ReplicaStatus>> {
  return new Map(
    (await runtime.list(AbortSignal.timeout(runtimeLimitMs))).map((status) => [status.id, status]),
  )
}

/** Replicas that carry our label and belong to no row that stands: removed when the deployment is ours, reported when it is unknown. */
async function sweep(parts: DeployParts): Promise<void> {
  const { ledger, providers, log } = parts
  const standing = new Set(
    (await ledger.replicas({ state: { $in: ['starting', 'ready', 'draining'] } })).map(({ id }) => id),
  )
  for (const [name, runtime] of providers.all(RuntimeToken)) {
    try {
      if (!(await runtime.detect(AbortSignal.timeout(runtimeLimitMs))).available) continue
      for (const [id, { deployment }] of await statusesOf(runtime)) {
        if (standing.has(id)) continue
        if ((await ledger.find({ id: deployment })).length === 0)
          log.warn(
            `replica ${id} on ${name} carries our label, but its deployment ${deployment} is unknown; it is left alone`,
          )
        else await runtime.remove(id)
      }
    } catch (error) {
      log.warn(`what runs on ${name} could not be swept`, errorFields(error))
    }
  }
}

import { type ReplicaStatus, type Runtime, Runtime as RuntimeToken } from '@rivetr/sdk'
import { AppRow, DeploymentRow } from '../data/entities/index.ts'
import { openSnapshot } from '../data/env.ts'
import { errorFields } from '../host/logger.ts'
import { clean } from './clean.ts'
import type { DeploymentRecord, Ledger } from './ledger.ts'
import type { DeployParts } from './parts.ts'
import type { Queue } from './queue.ts'
import { replicaSpec } from './replica-spec.ts'
import { restartable } from './states.ts'
import { finishSwitch } from './steps/switch.ts'

/** How long a runtime may take at boot to answer, before what it runs is left for the next sweep. */
const runtimeLimitMs = 30_000

/**
 * What a boot does about the boot before: live replicas run and are routed at once, a switch past its commit point rolls
 * forward, interrupted work is cleaned and queued again, old replicas go on draining, strays of ours are removed.
 */
export async function recover(parts: DeployParts, queue: Queue, stopping: AbortSignal): Promise<void> {
  const { ledger, tables, log, database } = parts
  await reviveLive(parts)
  void tables.publishForCertain(stopping).catch(() => undefined)
  for (const { id } of await ledger.find({ state: 'switching' })) {
    await finishSwitch({ id, parts })
    await endSteps(ledger, id, 'done')
  }
  for (const row of await ledger.find({ state: { $in: [...restartable] } })) {
    await restart(parts, row).catch((error: unknown) =>
      log.error(`deployment ${row.id} was not recovered`, errorFields(error)),
    )
  }
  for (const app of new Set((await ledger.replicas({ state: 'draining' })).map((replica) => replica.app)))
    queue.retire(app)
  await sweep(parts)
  log.info('recovered', { queued: await database.rows.count(DeploymentRow, { state: 'queued' }) })
}

/** Back to the queue, except where a release command may have run half-way: nobody but a person may run that again. */
async function restart(parts: DeployParts, row: DeploymentRecord): Promise<void> {
  const { ledger } = parts
  await clean(parts, row.id)
  const release = row.release ? await ledger.release(row.release) : undefined
  const steps = await ledger.steps(row.id)
  await endSteps(ledger, row.id, 'failed')
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

/** Steps that were under way when the last process ended. */
async function endSteps(ledger: Ledger, deployment: string, outcome: 'done' | 'failed'): Promise<void> {
  for (const step of await ledger.steps(deployment))
    if (step.outcome === 'running') await ledger.leaveStep(step.id, outcome)
}

/** After a reboot the replicas of live releases are gone or stopped: they are started again where they were. */
async function reviveLive(parts: DeployParts): Promise<void> {
  const { ledger, database, secrets, log } = parts
  const statuses = new Map<string, Map<string, ReplicaStatus>>()
  for (const app of await database.rows.find(AppRow, { liveDeployment: { $ne: null } })) {
    for (const replica of await ledger.replicas({ deployment: app.liveDeployment ?? '', state: 'ready' })) {
      try {
        const runtime = parts.providers.runtime(replica.runtime)
        const known = statuses.get(replica.runtime) ?? (await statusesOf(runtime))
        statuses.set(replica.runtime, known)
        if (known.get(replica.id)?.running) continue
        const release = await ledger.release(replica.release)
        if (release === undefined) continue
        const { env } = await openSnapshot(secrets, app.id, release.env)
        log.warn(`replica ${replica.id} of ${app.name} does not run; starting it again`)
        await runtime.start(replicaSpec(app, replica, release, env), AbortSignal.timeout(runtimeLimitMs))
      } catch (error) {
        log.error(
          `replica ${replica.id} of ${app.name} does not run and could not be started`,
          errorFields(error),
        )
      }
    }
  }
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

import { RivetrError } from '@rivetr/sdk'
import { AppRow, DeploymentRow, ReplicaRow, StepRow } from '../../data/entities/index.ts'
import { errorFields } from '../../host/logger.ts'
import { withDeadline } from '../deadline.ts'
import type { DeployParts } from '../parts.ts'
import type { Run } from '../run.ts'
import { untilWritten } from '../until-written.ts'

/** How long an engine may take to note that it shall keep a replica. */
const keepLimitMs = 10_000

/**
 * Requests of the app are held at all edges, the rows change (the commit point), the table is applied, requests go on.
 * No client sees the new release and then the old. From the commit point on there is only forward.
 */
export async function switchTraffic(run: Run, stopping: AbortSignal): Promise<void> {
  const { providers, tables, pauses, config, clock } = run.parts
  const traffic = providers.traffic()
  try {
    await run.bounded('holding the requests', config.switchTimeoutMs, async () => {
      await traffic.stats() // an edge must answer before anything changes
      await traffic.hold(run.app.id, config.holdMs)
    })
    run.turn.throwIfAborted()
    const startedMs = clock.now()
    await commit(run)
    await tables.publishForCertain(stopping)
    run.say(`traffic switched in ${clock.now() - startedMs} ms`)
  } finally {
    await pauses.afterSwitch(run.app.id).catch(() => undefined) // the hold ends by itself, too
  }
  await untilWritten(run.parts, `that deployment ${run.id} is live`, stopping, () => finishSwitch(run))
}

/** The one transaction in which the new release becomes the one that serves. */
async function commit(run: Run): Promise<void> {
  const { ledger } = run.parts
  const moved = await ledger.move(run.id, ['checking'], 'switching', {}, async (rows) => {
    await rows.nativeUpdate(
      ReplicaRow,
      { app: run.app.id, deployment: { $ne: run.id }, state: { $in: ['starting', 'ready'] } },
      { state: 'draining' },
    )
    await rows.nativeUpdate(AppRow, { id: run.app.id }, { liveDeployment: run.id, stopped: false })
  })
  if (moved === undefined) throw new RivetrError('conflict', 'the deployment is no longer being checked')
}

/**
 * Live in name too: this one is live, the one before is retired, and the step has ended: at once, so that nobody ever finds a
 * live deployment that still switches. Also what recovery does with a switch that was cut.
 */
export async function finishSwitch({ id, parts }: Pick<Run, 'id' | 'parts'>): Promise<void> {
  const { ledger } = parts
  const { app } = await ledger.get(id)
  const before = await ledger.find({ app, state: 'live' })
  await keep(parts, id)
  await ledger.move(id, ['switching'], 'live', { reason: null }, async (rows) => {
    await rows.nativeUpdate(DeploymentRow, { app, state: 'live', id: { $ne: id } }, { state: 'retired' })
    await rows.nativeUpdate(
      StepRow,
      { deployment: id, outcome: 'running' },
      { outcome: 'done', endedAt: ledger.now() },
    )
  })
  for (const each of before) await ledger.announce(each.id, 'live', 'retired')
}

/** Only now: a release that was never accepted must not come back by itself. */
async function keep(parts: DeployParts, deployment: string): Promise<void> {
  const { ledger, providers, clock, log } = parts
  for (const replica of await ledger.replicas({ deployment, state: 'ready' })) {
    try {
      await withDeadline(clock, keepLimitMs, 'keeping a replica', new AbortController().signal, () =>
        providers.runtime(replica.runtime).keep(replica.id),
      )
    } catch (error) {
      log.warn(
        `replica ${replica.id} is not kept by its engine yet; the monitor tries again`,
        errorFields(error),
      )
    }
  }
}

import { messageOf } from '@rivetr/sdk'
import { errorFields } from '../../host/logger.ts'
import type { ReplicaRecord } from '../ledger.ts'
import type { DeployParts } from '../parts.ts'
import { trimApp } from '../retention.ts'

const pollMs = 100

/**
 * Lets the draining replicas of an app finish what they serve, then stops and removes them, and with them what the app keeps
 * no longer. Idempotent; also run at boot.
 */
export async function retire(parts: DeployParts, app: string, stopping: AbortSignal): Promise<void> {
  const { ledger } = parts
  const draining = await ledger.replicas({ app, state: 'draining' })
  const { liveDeployment } = await ledger.app(app)
  // The step belongs to the deployment that took over; the last one of a boot that was cut stays in its rows as it was.
  const step = liveDeployment && draining.length > 0 ? await enterRetire(parts, liveDeployment) : undefined
  await Promise.all(draining.map((replica) => retireOne(parts, replica, stopping)))
  if (step !== undefined && !stopping.aborted) await ledger.leaveStep(step, 'done')
  if (!stopping.aborted) await trimApp(parts, app)
}

async function enterRetire({ ledger }: DeployParts, deployment: string): Promise<string> {
  return ledger.enterStep(deployment, (await ledger.get(deployment)).attempt, 'retire')
}

async function retireOne(parts: DeployParts, replica: ReplicaRecord, stopping: AbortSignal): Promise<void> {
  const { ledger, log, providers } = parts
  try {
    await drained(parts, replica.id, stopping)
    const runtime = providers.runtime(replica.runtime)
    await runtime.stop(replica.id, { timeoutMs: await stopTimeoutOf(parts, replica) })
    await runtime.remove(replica.id)
    await ledger.setReplica(replica.id, 'stopped')
  } catch (error) {
    if (stopping.aborted) return // goes on at the next boot
    log.error(
      `replica ${replica.id} could not be retired now and stays for the next sweep: ${messageOf(error)}`,
      errorFields(error),
    )
  }
}

/** Until no edge has a request under way to it, or the drain time is over. */
async function drained(
  { providers, clock, config }: DeployParts,
  replica: string,
  stopping: AbortSignal,
): Promise<void> {
  const deadline = clock.now() + config.drainMs
  while (clock.now() < deadline) {
    const { inFlight } = await providers.traffic().stats()
    if ((inFlight[replica] ?? 0) === 0) return
    await clock.sleep(pollMs, stopping)
  }
}

export async function stopTimeoutOf({ ledger }: DeployParts, replica: ReplicaRecord): Promise<number> {
  return (await ledger.release(replica.release))?.processes[replica.process]?.stopTimeoutMs ?? 10_000
}

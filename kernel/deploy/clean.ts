import { messageOf } from '@rivetr/sdk'
import { errorFields } from '../host/logger.ts'
import { withDeadline } from './deadline.ts'
import type { DeployParts } from './parts.ts'

/** How long an engine may take to say what it runs, and to remove one replica. */
const engineLimitMs = 30_000

/**
 * Takes back all that a deployment made and that does not serve: replicas, one-offs, workspace, and the artefact when no
 * release was made of it. Derived from rows and labels alone, so it serves error, cancel and boot alike; idempotent.
 */
export async function clean(parts: DeployParts, id: string): Promise<void> {
  const { ledger, workspaces, log } = parts
  const { app, release } = await ledger.get(id)
  if (await ledger.serves(id)) return
  for (const replica of await ledger.replicas({
    deployment: id,
    state: { $in: ['starting', 'ready', 'crashed'] },
  })) {
    await parts.collector.finish(replica)
    await removeReplica(parts, replica.runtime, replica.id)
    await parts.collector.forget(replica)
    if (replica.state !== 'crashed') await ledger.setReplica(replica.id, 'stopped')
  }
  await removeOneOffs(parts, app, id).catch((error: unknown) =>
    log.warn(`what deployment ${id} may still run was not listed: ${messageOf(error)}`, errorFields(error)),
  )
  await workspaces.remove(id)
  if (!release) await workspaces.removeArtefact(app, id)
}

/** A runtime that is away keeps the replica; the sweep at the next boot finds it by its label. */
async function removeReplica(parts: DeployParts, runtime: string, replica: string): Promise<void> {
  try {
    await bounded(parts, () => parts.providers.runtime(runtime).remove(replica))
  } catch (error) {
    parts.log.warn(`replica ${replica} could not be removed now: ${messageOf(error)}`, errorFields(error))
  }
}

async function removeOneOffs(parts: DeployParts, app: string, deployment: string): Promise<void> {
  const runtime = parts.providers.runtime((await parts.ledger.app(app)).runtime)
  const known = new Set(
    (await parts.ledger.replicas({ deployment, state: { $in: ['draining'] } })).map(({ id }) => id),
  )
  for (const replica of await bounded(parts, (signal) => runtime.list(signal)))
    if (replica.deployment === deployment && !known.has(replica.id))
      await bounded(parts, () => runtime.remove(replica.id))
}

/** An engine that hangs must not keep a deployment from its end, nor Rivetr from stopping. */
function bounded<T>({ clock }: DeployParts, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return withDeadline(clock, engineLimitMs, 'the engine', new AbortController().signal, ask)
}

import { AppRow, ReplicaRow } from '../data/entities/index.ts'
import { clean } from './clean.ts'
import type { DeployParts } from './parts.ts'
import type { Queue } from './queue.ts'
import { finalStates } from './states.ts'

/**
 * Nothing of the app runs any more, nor is about to, and it stays so over restarts. Its routes stay, and lead nowhere. Idempotent;
 * resolves when no edge sends it requests: those that are under way end in the background.
 */
export async function stopApp(parts: DeployParts, queue: Queue, app: string, by: string): Promise<void> {
  const { ledger, database, tables } = parts
  for (const { id } of await ledger.find({ app, state: { $nin: [...finalStates] } })) {
    // One that is past its commit point comes to its end, and is stopped with the rest.
    if (await queue.interrupt(id, by)) continue
    const reason = `${by} stopped the app`
    const from = await ledger.move(id, ['queued', 'waiting'], 'cancelled', { reason })
    if (from === 'waiting') await clean(parts, id)
  }
  await database.transaction(async (rows) => {
    await rows.nativeUpdate(AppRow, { id: app }, { stopped: true })
    await rows.nativeUpdate(ReplicaRow, { app, state: { $in: ['starting', 'ready'] } }, { state: 'draining' })
  })
  await tables.publish()
  queue.retire(app)
}

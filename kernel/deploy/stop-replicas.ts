import { Runtime } from '@rivetr/sdk'
import { errorFields } from '../host/logger.ts'
import { withDeadline } from './deadline.ts'
import type { DeployParts } from './parts.ts'
import { stopTimeoutOf } from './steps/retire.ts'

const listLimitMs = 10_000
/** Above a replica's own time to end: an engine that hangs must not keep Rivetr from ending. */
const engineLimitMs = 30_000

/** `rivetr stop --all`: every replica ends. Their rows stay as they are, so the next start brings the live ones back. */
export async function stopReplicas(parts: DeployParts): Promise<void> {
  const { ledger, providers, log, clock } = parts
  const ever = new AbortController().signal
  const rows = new Map(
    (await ledger.replicas({ state: { $in: ['starting', 'ready', 'draining'] } })).map((row) => [
      row.id,
      row,
    ]),
  )
  for (const [name, runtime] of providers.all(Runtime)) {
    try {
      const statuses = await withDeadline(
        clock,
        listLimitMs,
        `the engine of ${name}`,
        ever,
        async (signal) => ((await runtime.detect(signal)).available ? runtime.list(signal) : []),
      )
      // Also those that do not run now: their engine may be about to start them again.
      await Promise.all(
        statuses.map(async ({ id }) => {
          const row = rows.get(id)
          const timeoutMs = row === undefined ? 0 : await stopTimeoutOf(parts, row)
          await withDeadline(clock, timeoutMs + engineLimitMs, `stopping ${id}`, ever, () =>
            runtime.stop(id, { timeoutMs }),
          )
        }),
      )
    } catch (error) {
      log.error(`replicas on ${name} may still run`, errorFields(error))
    }
  }
}

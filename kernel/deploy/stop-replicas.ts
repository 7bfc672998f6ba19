import { Runtime } from '@rivetr/sdk'
import { errorFields } from '../host/logger.ts'
import type { DeployParts } from './parts.ts'
import { stopTimeoutOf } from './steps/retire.ts'

const listLimitMs = 10_000

/** `rivetr stop --all`: every replica ends. Their rows stay as they are, so the next start brings the live ones back. */
export async function stopReplicas(parts: DeployParts): Promise<void> {
  const { ledger, providers, log } = parts
  const rows = new Map(
    (await ledger.replicas({ state: { $in: ['starting', 'ready', 'draining'] } })).map((row) => [
      row.id,
      row,
    ]),
  )
  for (const [name, runtime] of providers.all(Runtime)) {
    try {
      if (!(await runtime.detect(AbortSignal.timeout(listLimitMs))).available) continue
      const running = (await runtime.list(AbortSignal.timeout(listLimitMs))).filter(
        (replica) => replica.running,
      )
      await Promise.all(
        running.map(async ({ id }) => {
          const row = rows.get(id)
          await runtime.stop(id, { timeoutMs: row === undefined ? 0 : await stopTimeoutOf(parts, row) })
        }),
      )
    } catch (error) {
      log.error(`replicas on ${name} may still run`, errorFields(error))
    }
  }
}

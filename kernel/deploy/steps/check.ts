import { type HealthSettings, type ReplicaExit, RivetrError, type Runtime } from '@rivetr/sdk'
import type { ReplicaRecord } from '../ledger.ts'
import { healthOf, probe } from '../probe.ts'
import type { Run } from '../run.ts'
import { releaseOf } from './prepare.ts'

/** A process without an endpoint is ready when it has stayed up for so long. */
const settleMs = 1_000

/** Every replica must become healthy in time; one that ends meanwhile fails the deployment at once. */
export async function check(run: Run): Promise<void> {
  const { providers, ledger } = run.parts
  const runtime = providers.runtime(run.app.runtime)
  const settings = healthOf(releaseOf(run))
  await Promise.all(
    run.replicas.map(async (replica) => {
      if (replica.address) await untilHealthy(run, runtime, replica, settings)
      else await staysUp(run, runtime, replica)
      await ledger.setReplica(replica.id, 'ready')
      run.say(`${replica.process}.${replica.index + 1} is ready`)
    }),
  )
}

/** How long the step may take: the health check's own deadline, and some for a probe that is under way. */
export function checkLimitMs(run: Run): number {
  const health = healthOf(releaseOf(run))
  return health.deadlineMs + health.timeoutMs + 5_000
}

async function untilHealthy(
  run: Run,
  runtime: Runtime,
  replica: ReplicaRecord,
  settings: HealthSettings,
): Promise<void> {
  const { clock } = run.parts
  const deadline = clock.now() + settings.deadlineMs
  let attempt = 0
  let inARow = 0
  let last = 'no answer yet'
  while (clock.now() < deadline) {
    attempt += 1
    const result = await probe(run.parts, run.app, replica, settings, attempt, run.signal)
    if (result.detail !== last) run.say(`${replica.process}.${replica.index + 1}: ${result.detail}`)
    last = result.detail
    inARow = result.healthy ? inARow + 1 : 0
    if (inARow >= settings.successes) return
    await assertRuns(run, runtime, replica)
    // A new replica is asked often at first: most are up within a second.
    await clock.sleep(Math.min(settings.intervalMs, 100 * attempt), run.signal)
  }
  throw new RivetrError(
    'unhealthy',
    `${replica.process}.${replica.index + 1} did not become healthy within ${settings.deadlineMs / 1000} s: ${last}`,
  )
}

async function staysUp(run: Run, runtime: Runtime, replica: ReplicaRecord): Promise<void> {
  await run.parts.clock.sleep(settleMs, run.signal)
  await assertRuns(run, runtime, replica)
}

async function assertRuns(run: Run, runtime: Runtime, replica: ReplicaRecord): Promise<void> {
  const status = (await runtime.list(run.signal)).find(({ id }) => id === replica.id)
  run.signal.throwIfAborted() // a replica that was taken back meanwhile did not crash
  if (status?.running) return
  if (status?.exit !== undefined) await run.parts.ledger.setReplica(replica.id, 'crashed', status.exit)
  throw new RivetrError(
    'replica_failed',
    `${replica.process}.${replica.index + 1} ended ${exitText(status?.exit)}`,
  )
}

function exitText(exit: ReplicaExit | undefined): string {
  if (exit === undefined) return 'and left no exit code'
  return `with exit code ${exit.exitCode}${exit.oom ? ' (out of memory)' : ''}`
}

import { type HealthSettings, type ReplicaExit, RivetrError, type Runtime } from '@rivetr/sdk'
import { exitText } from '../../data/app-view.ts'
import type { ReplicaRecord } from '../ledger.ts'
import { exposureHint, isLoopback, listeningHint } from '../listening-hint.ts'
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
      if (replica.address) {
        await untilHealthy(run, runtime, replica, settings)
        await sayExposure(run, runtime, replica)
      } else await staysUp(run, runtime, replica)
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
  let refused = false
  while (clock.now() < deadline) {
    attempt += 1
    const result = await probe(run.parts, run.app, replica, settings, attempt, run.signal)
    if (result.detail !== last) run.say(`${replica.process}.${replica.index + 1}: ${result.detail}`)
    last = result.detail
    refused = result.refused === true
    inARow = result.healthy ? inARow + 1 : 0
    if (inARow >= settings.successes) return
    // A new replica is asked often at first: most are up within a second. An engine takes its time to say what runs.
    const pause = clock.sleep(Math.min(settings.intervalMs, 50 * attempt), run.signal)
    await Promise.all([pause, assertRuns(run, runtime, replica)])
  }
  const hint = refused ? await hintOf(runtime, replica, listeningHint) : undefined
  throw new RivetrError(
    'unhealthy',
    `${replica.process}.${replica.index + 1} did not become healthy within ${settings.deadlineMs / 1000} s: ${last}${hint ? ` (${hint})` : ''}`,
  )
}

async function sayExposure(run: Run, runtime: Runtime, replica: ReplicaRecord): Promise<void> {
  if (!isLoopback(replica.address ?? '')) return
  const hint = await hintOf(runtime, replica, exposureHint)
  if (hint !== undefined) run.say(`${replica.process}.${replica.index + 1} ${hint}`)
}

/** Nothing is decided by it, so a runtime that cannot tell costs a hint and no more. */
async function hintOf(
  runtime: Runtime,
  { id, address, port }: ReplicaRecord,
  hint: typeof listeningHint,
): Promise<string | undefined> {
  const listening = await runtime.listening?.(id).catch(() => undefined)
  if (listening === undefined || !address || !port) return undefined
  return hint({ address, port }, listening)
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
    `${replica.process}.${replica.index + 1} ended ${endText(status?.exit)}`,
  )
}

function endText(exit: ReplicaExit | undefined): string {
  if (exit === undefined) return 'and left no exit code'
  return exitText(exit)
}

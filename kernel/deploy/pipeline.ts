import { type DeploymentState, messageOf, RivetrError, Runtime, type Wait } from '@rivetr/sdk'
import { errorFields } from '../host/logger.ts'
import { clean } from './clean.ts'
import { withDeadline } from './deadline.ts'
import { withFullDisks } from './full-disk.ts'
import { lastLinesOf } from './last-lines.ts'
import { Interruption, type Run } from './run.ts'
import { maskedFields, secretMask } from './secret-mask.ts'
import { stateOfStep } from './states.ts'
import { build } from './steps/build.ts'
import { check, checkLimitMs } from './steps/check.ts'
import { fetchSource } from './steps/fetch.ts'
import { prepare } from './steps/prepare.ts'
import { renewRelease } from './steps/renew.ts'
import { start } from './steps/start.ts'
import { switchTraffic } from './steps/switch.ts'
import { untilRead, untilWritten } from './until-written.ts'

/** How long an engine may take to say that it is there. */
const detectLimitMs = 10_000
/** How long a deployment waits before it looks for an engine again. */
const engineRetryMs = 15_000

/** A gate said "not yet". */
class Paused extends Error {
  readonly gate: string
  readonly wait: Wait
  constructor(gate: string, wait: Wait) {
    super(wait.reason)
    this.gate = gate
    this.wait = wait
  }
}

/** From the queue to live, top to bottom. */
async function deploy(run: Run, stopping: AbortSignal): Promise<void> {
  const { config, buildTurns } = run.parts
  await pass(run, 'preDeploy')
  assertGatesAnswer(run)
  await assertRuntimeAnswers(run)

  if (run.row.trigger === 'restart') await renewRelease(run)
  if (run.release === undefined) {
    await enter(run, ['queued'], 'fetching')
    await run.perform('fetch', config.fetchTimeoutMs, fetchSource)
    await buildTurns.take(
      run.signal,
      () => run.say('waiting for a turn to build'),
      async () => {
        await enter(run, ['fetching'], 'building')
        await run.perform('build', config.buildTimeoutMs, build)
      },
    )
  }
  await enter(run, ['queued', 'building'], 'preparing')
  await run.perform('prepare', config.prepareTimeoutMs, prepare)

  await enter(run, ['preparing'], 'starting')
  await run.perform('start', config.startTimeoutMs, start)

  await enter(run, ['starting'], 'checking')
  await run.perform('check', checkLimitMs(run), check)

  // Entered by the commit point itself: until then the deployment can still be cancelled, wait or fail. From there on
  // nothing is given up half-way, so the step bounds what comes before it, and not itself.
  await run.bounded('the gate preSwitch', config.switchTimeoutMs, () => pass(run, 'preSwitch'))
  await run.record('switch', () => switchTraffic(run, stopping), 'written')
}

/** Runs one deployment as far as it goes. Always leaves it live, final, waiting, or (when Rivetr stops) as it is. */
export async function runDeployment(run: Run, stopping: AbortSignal): Promise<void> {
  const { hooks, ledger, log } = run.parts
  try {
    const previous = await currentRelease(run)
    await deploy(run, stopping)
    run.say('live')
    hooks.notify('postDeploy', { ...run.payload, ...(previous === undefined ? {} : { previous }) })
  } catch (thrown) {
    const error = run.interruption ?? thrown
    if (error instanceof Paused) await pause(run, error, stopping)
    else if (run.interruption?.kind === 'stopping')
      run.say('Rivetr stops; this goes on when it is started again')
    else if ((await known(run, stopping, () => ledger.get(run.id))).state === 'switching')
      log.error(
        `deployment ${run.id} was interrupted while switching; the next start rolls it forward`,
        errorFields(error),
      )
    else await fail(run, error, stopping)
  }
}

async function enter(run: Run, from: readonly DeploymentState[], to: DeploymentState): Promise<void> {
  run.signal.throwIfAborted()
  if ((await run.parts.ledger.move(run.id, from, to)) === undefined)
    throw new RivetrError('conflict', `the deployment cannot go to ${to} from where it is`)
}

/** Asks a gate that may wait; what was promoted passes. */
async function pass(run: Run, gate: 'preDeploy' | 'preSwitch'): Promise<void> {
  const { hooks, ledger } = run.parts
  const live = gate === 'preSwitch' ? await currentRelease(run) : undefined
  const verdict = await hooks.call(gate, { ...run.payload, ...(live === undefined ? {} : { current: live }) })
  if (verdict === undefined) return
  if ((await ledger.get(run.id)).promoted.includes(gate)) return
  throw new Paused(gate, verdict)
}

async function currentRelease({ app, parts: { ledger } }: Run): Promise<{ release: number } | undefined> {
  const { liveDeployment } = await ledger.app(app.id)
  const release = liveDeployment
    ? await ledger.release((await ledger.get(liveDeployment)).release ?? '')
    : undefined
  return release === undefined ? undefined : { release: release.number }
}

/** Gates further on that cannot make it wait: it waits here, before anything is made, while their plugin does not run. */
function assertGatesAnswer({ parts: { hooks } }: Run): void {
  for (const gate of ['preBuild', 'envResolve', 'specResolve', 'preStart'] as const) {
    const absence = hooks.absenceOf(gate)
    if (absence !== undefined) throw new Paused(gate, absence)
  }
}

/** An engine that is away is no failure: the deployment waits, live routes stay, and no other runtime is taken. */
async function assertRuntimeAnswers(run: Run): Promise<void> {
  const { providers, clock } = run.parts
  const runtime = providers.find(Runtime, run.app.runtime)
  const detection = runtime && (await answerOf(run, runtime))
  if (detection?.available) return
  const until = new Date(clock.now() + engineRetryMs).toISOString()
  const reason = `the runtime ${run.app.runtime} is away: ${detection?.reason ?? 'its plugin does not run'}`
  throw new Paused('runtime', { verdict: 'wait', reason, until })
}

/** An engine that hangs is as good as away. */
async function answerOf(run: Run, runtime: Runtime): Promise<{ available: boolean; reason: string }> {
  const ask = (signal: AbortSignal) => runtime.detect(signal)
  try {
    return await withDeadline(run.parts.clock, detectLimitMs, 'its answer', run.turn, ask)
  } catch (error) {
    run.turn.throwIfAborted()
    return { available: false, reason: messageOf(error) }
  }
}

async function pause(run: Run, { wait, gate }: Paused, stopping: AbortSignal): Promise<void> {
  run.say(`waiting: ${wait.reason}`)
  const change = { reason: wait.reason, resumeAt: wait.until ?? null, waitsFor: gate }
  await untilWritten(run.parts, `that deployment ${run.id} waits`, stopping, () =>
    run.parts.ledger.move(run.id, ['queued', 'preparing', 'checking'], 'waiting', change),
  )
}

/** What is needed to write the end of a deployment. */
function known<T>(run: Run, stopping: AbortSignal, read: () => Promise<T>): Promise<T> {
  return untilRead(run.parts, `what is known of deployment ${run.id}`, stopping, read)
}

async function fail(run: Run, error: unknown, stopping: AbortSignal): Promise<void> {
  const { parts, step } = run
  const { hooks, ledger, log } = parts
  const cancelled = error instanceof Interruption
  const masked = await known(run, stopping, () => secretMask(parts, run.app.id))
  const lastLines = cancelled
    ? []
    : (await known(run, stopping, () => lastLinesOf(parts, run.id))).map(masked)
  const plain = cancelled ? describe(error) : await withFullDisks(parts.workspaces.folders, describe(error))
  const described = { ...plain, message: masked(plain.message) }
  run.say(
    cancelled
      ? messageOf(error)
      : `failed${step === undefined ? '' : ` in the step ${step}`}: ${described.message}`,
  )
  if (!cancelled)
    log.warn(`deployment ${run.id} of ${run.app.name} failed`, {
      step,
      ...maskedFields(errorFields(error), masked),
    })
  const moved = await untilWritten(parts, `the end of deployment ${run.id}`, stopping, async () => {
    await clean(parts, run.id) // which also makes room for the rows
    await run.closeStep(cancelled ? 'cancelled' : 'failed')
    return ledger.move(run.id, failable, cancelled ? 'cancelled' : 'failed', {
      reason: described.message,
      lastLines,
      ...(cancelled ? {} : { error: { ...described, ...(step === undefined ? {} : { step }) } }),
    })
  })
  if (moved !== undefined && !cancelled)
    hooks.notify('deployFailed', {
      ...run.payload,
      signal: run.turn,
      ...(step === undefined ? {} : { step }),
      error: described,
    })
}

const failable: readonly DeploymentState[] = [
  'queued',
  ...Object.values(stateOfStep).filter((state) => state !== 'switching'),
]

/** What people read; the inside of an unexpected error stays in Rivetr's own log. */
function describe(error: unknown): { code: string; message: string } {
  if (RivetrError.is(error)) return { code: error.code, message: error.message }
  return { code: 'internal', message: messageOf(error) }
}

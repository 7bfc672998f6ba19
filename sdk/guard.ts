import type { Clock } from './clock.ts'
import { messageOf, RivetrError } from './errors.ts'
import { type HookName, hooks } from './hooks.ts'

/** A notice is muted after so many failures in a row. */
const failuresUntilMuted = 5

/** Whose tap or provider it is. The kernel's scope of a plugin; in an edge, the edge's. */
export interface GuardOwner {
  readonly plugin: string
  readonly clock: Clock
  /** True once the plugin was stopped: its taps have no opinion any more (tapable has no untap). */
  readonly closed: boolean
  /** Told of every failure, for the log and `pluginFailed`. */
  failed(where: string, error: unknown): void
}

/** What the guard counted of one tap. */
export interface TapStats {
  readonly hook: HookName
  calls: number
  errors: number
  totalMs: number
  muted: boolean
}

type AnyTap = (...args: unknown[]) => unknown

/**
 * Wraps a tap so that it is named, timed, bounded, counted, and judged by its hook's policy. Every tap runs inside one.
 * The result is always a promise: of `undefined` when the scope is closed, the notice is muted, or an answer failed.
 */
export function guardTap(
  hook: HookName,
  tap: AnyTap,
  owner: GuardOwner,
): { run: (...args: unknown[]) => Promise<unknown>; stats: TapStats } {
  const { policy, shape, limitMs, verdicts } = hooks[hook]
  const stats: TapStats = { hook, calls: 0, errors: 0, totalMs: 0, muted: false }
  let failuresInARow = 0

  const run = async (...args: unknown[]): Promise<unknown> => {
    if (owner.closed || stats.muted) return undefined
    stats.calls += 1
    const startedMs = performance.now()
    try {
      const returned = tap(...args)
      // Nobody waits for a notice, so it outlives the work that it tells of.
      const signal = policy === 'notice' ? undefined : signalOf(args)
      const result = isPromise(returned)
        ? await withDeadline(returned, limitMs, signal, owner.clock)
        : returned
      if (policy === 'gate' && shape === 'series') checkVerdict(result, verdicts)
      failuresInARow = 0
      return owner.closed ? undefined : result
    } catch (error) {
      stats.errors += 1
      failuresInARow += 1
      owner.failed(`hook ${hook}`, error)
      if (policy === 'gate') throw refusal(hook, owner.plugin, error)
      if (policy === 'notice' && failuresInARow >= failuresUntilMuted) stats.muted = true
      return undefined
    } finally {
      stats.totalMs += performance.now() - startedMs
    }
  }
  return { run, stats }
}

/** The error of a provider's method, named after plugin and method. Our own errors pass as they are. */
export function providerError(plugin: string, method: string, error: unknown): RivetrError {
  if (RivetrError.is(error)) return error
  return new RivetrError('plugin_failed', `plugin ${plugin} failed in ${method}: ${messageOf(error)}`, {
    cause: error,
    details: { plugin, method },
  })
}

function refusal(hook: HookName, plugin: string, error: unknown): RivetrError {
  if (error instanceof Error && error.name === 'AbortError') {
    return new RivetrError('cancelled', `${hook} of plugin ${plugin} was cancelled`, {
      cause: error,
      details: { plugin, hook },
    })
  }
  const inner = RivetrError.is(error) ? error.details : {}
  return new RivetrError('refused', `plugin ${plugin} refused (${hook}): ${messageOf(error)}`, {
    cause: error,
    details: { ...inner, plugin, hook },
  })
}

function checkVerdict(result: unknown, verdicts: readonly string[]): void {
  if (result === undefined) return
  const verdict = (result as { verdict?: unknown } | null)?.verdict
  if (typeof verdict === 'string' && verdicts.includes(verdict)) return
  const allowed = verdicts.length > 0 ? `${verdicts.join(' or ')}, or nothing` : 'nothing'
  throw new TypeError(
    `its tap returned ${JSON.stringify(result)}; this hook takes ${allowed} (throw to refuse)`,
  )
}

async function withDeadline(
  work: Promise<unknown>,
  limitMs: number | 'step',
  signal: AbortSignal | undefined,
  clock: Clock,
): Promise<unknown> {
  if (limitMs === 'step') return untilAborted(work, signal)
  let takeBack: () => void = () => undefined
  const late = new Promise<never>((_, reject) => {
    takeBack = clock.after(limitMs, () =>
      reject(new RivetrError('timed_out', `did not answer within ${limitMs} ms`)),
    )
  })
  try {
    return await Promise.race([untilAborted(work, signal), late])
  } finally {
    takeBack()
  }
}

async function untilAborted(work: Promise<unknown>, signal: AbortSignal | undefined): Promise<unknown> {
  if (signal === undefined) return work
  signal.throwIfAborted()
  let forget: () => void = () => undefined
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    forget = () => signal.removeEventListener('abort', onAbort)
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    forget()
  }
}

/** The signal of the payload, wherever the hook carries it (`envResolve` has the deployment in its second argument). */
function signalOf(args: unknown[]): AbortSignal | undefined {
  for (const arg of args) {
    const payload = arg as { signal?: unknown; deploy?: { signal?: unknown } } | null | undefined
    const signal = payload?.signal ?? payload?.deploy?.signal
    if (signal instanceof AbortSignal) return signal
  }
  return undefined
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

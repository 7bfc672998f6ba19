import { type Clock, RivetrError } from '@rivetr/sdk'

/**
 * Gives work a signal that also aborts after `limitMs`, and stops waiting for work that ignores it. When it fails the
 * signal aborts, too: what it began side by side ends with it. Errors: `timed_out`.
 */
export async function withDeadline<T>(
  clock: Clock,
  limitMs: number,
  what: string,
  outer: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  outer.throwIfAborted()
  const controller = new AbortController()
  const onAbort = () => controller.abort(outer.reason)
  outer.addEventListener('abort', onAbort, { once: true })
  const takeBack = clock.after(limitMs, () =>
    controller.abort(new RivetrError('timed_out', `${what} did not end within ${spoken(limitMs)}`)),
  )
  const aborted = new Promise<never>((_, reject) =>
    controller.signal.addEventListener('abort', () => reject(controller.signal.reason), { once: true }),
  )
  aborted.catch(() => undefined)
  try {
    return await Promise.race([work(controller.signal), aborted])
  } catch (error) {
    controller.abort(error)
    throw error
  } finally {
    takeBack()
    outer.removeEventListener('abort', onAbort)
  }
}

function spoken(ms: number): string {
  return ms >= 120_000 ? `${Math.round(ms / 60_000)} minutes` : `${ms / 1000} s`
}

import { type Clock, RivetrError, Source, type SourceSettings } from '@rivetr/sdk'
import { withDeadline } from './deadline.ts'
import type { Providers } from './providers.ts'

/** How long a source may take to answer somebody who waits. */
const answerLimitMs = 30_000
/** The same where they would rather go on without its answer. */
const checkLimitMs = 10_000

/** Asks the provider of a source, for somebody who waits for the answer. Errors: its own, `unavailable`, `timed_out`. */
export function askSource<T>(
  providers: Providers,
  clock: Clock,
  { kind }: SourceSettings,
  ask: (source: Source, signal: AbortSignal) => Promise<T>,
  limitMs = answerLimitMs,
): Promise<T> {
  const source = providers.get(Source, kind)
  return withDeadline(clock, limitMs, 'the question to the source', new AbortController().signal, (signal) =>
    ask(source, signal),
  )
}

/** What a person has to put right is said at once; a branch that is not pushed yet, or a host that is slow today, is no fault of theirs. */
export async function checkSource(
  providers: Providers,
  clock: Clock,
  settings: SourceSettings,
): Promise<void> {
  try {
    const check = (source: Source, signal: AbortSignal) => source.check(settings, signal)
    await askSource(providers, clock, settings, check, checkLimitMs)
  } catch (error) {
    const fault = RivetrError.is(error, 'source_failed') ? error.details.fault : undefined
    if (fault === 'address' || fault === 'access') throw error
  }
}

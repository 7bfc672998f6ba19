import { setTimeout as sleep } from 'node:timers/promises'
import { RivetrError } from '@rivetr/sdk'
import type { Engine } from './engine.ts'
import { jsonLines } from './json-lines.ts'

export interface EngineEvent {
  readonly Action: string
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> }
}

/** Each connection begins with it: what happened before was perhaps not seen. */
export const connected = 'connected'

const firstPauseMs = 250
const longestPauseMs = 5_000

/**
 * What happens to containers with this label, until the signal aborts; ends quietly then. When the engine goes away it
 * connects again and again. An engine forgets its events when it ends, so whoever must miss nothing looks at the state
 * of things on each `connected`.
 */
export async function* engineEvents(
  engine: Engine,
  options: { readonly label: string; readonly actions: readonly string[]; readonly signal: AbortSignal },
): AsyncGenerator<typeof connected | EngineEvent> {
  const { label, actions, signal } = options
  const filters = JSON.stringify({ type: ['container'], label: [label], event: actions })
  let pauseMs = firstPauseMs
  while (!signal.aborted) {
    try {
      const stream = await engine.stream({ method: 'GET', path: '/events', query: { filters }, signal })
      pauseMs = firstPauseMs
      yield connected
      yield* jsonLines<EngineEvent>(stream)
    } catch (error) {
      // Not an error of the stream: the one who reads it threw, or our own code is wrong.
      if (error instanceof TypeError) throw error
      if (RivetrError.is(error) && error.code !== 'unavailable' && !signal.aborted) throw error
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => {})
    pauseMs = Math.min(pauseMs * 2, longestPauseMs)
  }
}

import type { Clock } from '@rivetr/sdk'

/** A plugin that fails so often outside of every call within so long is set aside. */
export const straysUntilAside = 5
const windowMs = 60_000

interface Failures {
  /** When, lately; never more than set it aside. */
  at: number[]
  /** How often since then, which nobody was told. */
  untold: number
}

/** What becomes of one failure. Undefined: what goes on although the plugin was set aside must not fill the log. */
export type StrayVerdict = { readonly untold: number; readonly tooMany: boolean } | undefined

/** Counts what plugins do outside of every call of them: failures of timers, events and promises that nobody waits for. */
export class Strays {
  readonly #clock: Pick<Clock, 'now'>
  readonly #failures = new Map<string, Failures>()

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /** One more. `untold`: how many before it nobody was told. */
  count(plugin: string): StrayVerdict {
    const now = this.#clock.now()
    const known = this.#failures.get(plugin) ?? { at: [], untold: 0 }
    this.#failures.set(plugin, known)
    known.at = known.at.filter((at) => now - at < windowMs)
    if (known.at.length >= straysUntilAside) {
      known.untold += 1
      return undefined
    }
    known.at.push(now)
    const { untold } = known
    known.untold = 0
    return { untold, tooMany: known.at.length >= straysUntilAside }
  }

  forget(plugin: string): void {
    this.#failures.delete(plugin)
  }
}

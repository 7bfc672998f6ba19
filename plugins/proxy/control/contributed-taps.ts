import { statSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { type Contributions, type Logger, messageOf } from '@rivetr/sdk'
import type { EdgeTaps } from '../launcher/protocol.ts'

export type EdgeContributions = Pick<Contributions, 'edges' | 'onChange'>

/**
 * Gives the edges the taps that running plugins contribute, again whenever they change. Routes do not depend on it: an
 * edge that does not take the taps serves without them, and says so.
 */
export class ContributedTaps {
  #given: readonly EdgeTaps[] | undefined
  #last: Promise<void> | undefined
  #unsubscribe: (() => void) | undefined
  readonly #contributions: EdgeContributions | undefined
  readonly #log: Logger
  readonly #give: (taps: readonly EdgeTaps[]) => Promise<unknown>

  constructor(
    contributions: EdgeContributions | undefined,
    log: Logger,
    give: (taps: readonly EdgeTaps[]) => Promise<unknown>,
  ) {
    this.#contributions = contributions
    this.#log = log
    this.#give = give
  }

  /** Resolves when the edges have them. Once is enough. */
  begin(): Promise<void> {
    const contributions = this.#contributions
    if (contributions === undefined) return Promise.resolve()
    this.#unsubscribe ??= contributions.onChange(() => void this.#follow(contributions))
    return this.#last ?? this.#follow(contributions)
  }

  end(): void {
    this.#unsubscribe?.()
  }

  /** A plugin that is reloaded goes and comes: the edges get both, so that what was dropped has another chance. */
  #follow({ edges }: EdgeContributions): Promise<void> {
    const taps = edges.map(tapsOf)
    this.#last = (this.#last ?? Promise.resolve()).then(() => this.#change(taps))
    return this.#last
  }

  async #change(taps: readonly EdgeTaps[]): Promise<void> {
    if (isDeepStrictEqual(taps, this.#given)) return
    try {
      await this.#give(taps)
      this.#given = taps
    } catch (error) {
      this.#log.error('the edges did not take the taps of plugins', { error: messageOf(error) })
    }
  }
}

function tapsOf({ plugin, version, file, config }: Contributions['edges'][number]): EdgeTaps {
  const writtenMs = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
  return { plugin, file, revision: `${version}-${writtenMs}`, config }
}

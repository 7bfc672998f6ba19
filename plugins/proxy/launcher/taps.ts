import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EdgeTapStats } from '@rivetr/sdk'
import { log } from './log.ts'
import type { EdgeTaps } from './protocol.ts'

/** So many edges that end unasked within the window are too many. */
const crashesUntilDropped = 3
const windowMs = 60_000

interface Kept {
  readonly given: readonly EdgeTaps[]
  /** Edges crashed with them. */
  readonly dropped: boolean
}

/**
 * The taps that the edges have. They lie in a file, for a launcher that starts while no kernel runs. Nobody can see from
 * outside which of them an edge was in when it died, so all are dropped, until the kernel gives other ones.
 */
export class TapsInForce {
  #kept: Kept
  #crashesMs: number[] = []
  readonly #file: string

  constructor(folder: string) {
    this.#file = join(folder, 'taps.json')
    this.#kept = read(this.#file) ?? { given: [], dropped: false }
  }

  get list(): readonly EdgeTaps[] {
    return this.#kept.dropped ? [] : this.#kept.given
  }

  /** False when they are the same, dropped or not. */
  replace(given: readonly EdgeTaps[]): boolean {
    if (JSON.stringify(given) === JSON.stringify(this.#kept.given)) return false
    this.#keep({ given, dropped: false })
    return true
  }

  /** An edge ended unasked. True when that was once too often. */
  crashed(): boolean {
    if (this.list.length === 0) return false
    const nowMs = performance.now()
    this.#crashesMs = [...this.#crashesMs.filter((ms) => ms > nowMs - windowMs), nowMs]
    if (this.#crashesMs.length < crashesUntilDropped) return false
    log('edges end again and again: they go on without taps', {
      plugins: this.list.map(({ plugin }) => plugin),
      crashes: this.#crashesMs.length,
      withinMs: windowMs,
    })
    this.#crashesMs = []
    this.#keep({ given: this.#kept.given, dropped: true })
    return true
  }

  /** Of all edges together, and what was dropped. */
  stats(edges: readonly (readonly EdgeTapStats[])[]): EdgeTapStats[] {
    if (this.#kept.dropped) return this.#kept.given.map(droppedStats)
    const sums = new Map<string, EdgeTapStats>()
    for (const stats of edges.flat()) {
      const key = `${stats.plugin} ${stats.tap}`
      sums.set(key, added(sums.get(key), stats))
    }
    return [...sums.values()]
  }

  #keep(kept: Kept): void {
    this.#kept = kept
    const draft = `${this.#file}.new`
    try {
      writeFileSync(draft, JSON.stringify(kept), { mode: 0o600 })
      renameSync(draft, this.#file)
    } catch (error) {
      log('the taps cannot be written down; the next launcher starts with others', { error: String(error) })
    }
  }
}

function droppedStats({ plugin }: EdgeTaps): EdgeTapStats {
  const error = `dropped: ${crashesUntilDropped} edges ended within ${windowMs} ms while they had the taps of this plugin`
  return { plugin, tap: 'load', calls: 0, errors: crashesUntilDropped, totalMs: 0, muted: true, error }
}

function added(sum: EdgeTapStats | undefined, stats: EdgeTapStats): EdgeTapStats {
  if (sum === undefined) return stats
  return {
    ...sum,
    calls: sum.calls + stats.calls,
    errors: sum.errors + stats.errors,
    totalMs: sum.totalMs + stats.totalMs,
    muted: sum.muted || stats.muted,
    error: stats.error ?? sum.error,
  }
}

function read(file: string): Kept | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log('the file of taps cannot be read; there are none', { file, error: String(error) })
    return undefined
  }
}

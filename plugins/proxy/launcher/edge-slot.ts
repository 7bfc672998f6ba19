import { setTimeout as sleep } from 'node:timers/promises'
import { EdgeProcess } from './edge-process.ts'
import { log } from './log.ts'
import type { EdgeCommand, EdgeSettings, Hold, TableText } from './protocol.ts'

/** An edge that lived for less than this failed at once; the next one starts after a pause that doubles. */
const shortLifeMs = 5_000
const firstPauseMs = 100
const longestPauseMs = 5_000

/** What a new edge must know before it accepts its first connection. */
export interface InForce {
  table(): TableText | undefined
  holds(): readonly Hold[]
}

/** A place for one edge: as long as it is open, an edge runs in it. */
export class EdgeSlot {
  #edge: EdgeProcess | undefined
  #serving = Promise.withResolvers<void>()
  #closed = false
  readonly #settings: EdgeSettings
  readonly #folder: string
  readonly #inForce: InForce

  constructor(settings: EdgeSettings, folder: string, inForce: InForce) {
    this.#settings = settings
    this.#folder = folder
    this.#inForce = inForce
    void this.#keepRunning()
  }

  /** Resolves when an edge in this place serves what is in force. */
  get serving(): Promise<void> {
    return this.#serving.promise
  }

  /**
   * Tells the edge. Where one is only starting, it is waited for: it begins with what is in force by then.
   * Undefined when there is none now; rejects when the edge ended without an answer.
   */
  async tell(command: EdgeCommand): Promise<unknown> {
    const edge = this.#edge
    if (edge === undefined) return undefined
    await edge.loaded
    return edge.ask(command)
  }

  async close(drainMs: number): Promise<void> {
    this.#closed = true
    await this.#edge?.drain(drainMs)
  }

  async #keepRunning(): Promise<void> {
    let pauseMs = 0
    while (!this.#closed) {
      if (pauseMs > 0) await sleep(pauseMs)
      if (this.#closed) return
      const edge = new EdgeProcess(this.#settings, this.#folder)
      this.#edge = edge
      await Promise.all([this.#serve(edge), edge.exited])
      this.#edge = undefined
      this.#serving = Promise.withResolvers<void>()
      const livedMs = performance.now() - edge.startedAtMs
      pauseMs = livedMs >= shortLifeMs ? 0 : Math.min(Math.max(firstPauseMs, pauseMs * 2), longestPauseMs)
    }
  }

  async #serve(edge: EdgeProcess): Promise<void> {
    try {
      await edge.loaded
      // Commands that come from now on follow this one on the same channel, so nothing between is lost.
      await edge.ask({ do: 'serve', table: this.#inForce.table(), holds: this.#inForce.holds() })
      log('an edge serves', { edge: edge.pid, afterMs: Math.round(performance.now() - edge.startedAtMs) })
      this.#serving.resolve()
    } catch (error) {
      log('an edge did not come to serve', { edge: edge.pid, error: String(error) })
      edge.kill('it did not come to serve')
    }
  }
}

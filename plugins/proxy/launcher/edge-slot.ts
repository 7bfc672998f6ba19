import { setTimeout as sleep } from 'node:timers/promises'
import { EdgeProcess } from './edge-process.ts'
import { log } from './log.ts'
import type { EdgeCommand, EdgeTaps, Hold, LauncherSettings, WholeTable } from './protocol.ts'
import { removeDrafts } from './snapshot.ts'

/** An edge that lived for less than this failed at once; the next one starts after a pause that doubles. */
const shortLifeMs = 5_000
const firstPauseMs = 100
const longestPauseMs = 5_000

/** What a new edge must know before it accepts its first connection. */
export interface InForce {
  table(): WholeTable | undefined
  holds(): readonly Hold[]
  ticketSecret(): string
  taps(): readonly EdgeTaps[]
  /** An edge ended that nobody had told to. */
  crashed(): void
}

/** A place for one edge: as long as it is open, an edge runs in it. */
export class EdgeSlot {
  /** The edge that serves, one that is to replace it, and those that still drain. */
  readonly #edges = new Set<EdgeProcess>()
  #current: EdgeProcess
  #serving = Promise.withResolvers<void>()
  #serves = false
  #closed = false
  readonly #settings: LauncherSettings
  readonly #folder: string
  readonly #inForce: InForce

  constructor(settings: LauncherSettings, folder: string, inForce: InForce) {
    this.#settings = settings
    this.#folder = folder
    this.#inForce = inForce
    this.#current = this.#start()
    void this.#keepRunning()
  }

  /** Resolves when an edge in this place serves what is in force. */
  get serving(): Promise<void> {
    return this.#serving.promise
  }

  /**
   * Answers of the edges here, without those that end before they answer. One that is only starting is waited for: it
   * begins with what is in force by then.
   */
  async tell(command: EdgeCommand): Promise<unknown[]> {
    const answers = await Promise.allSettled(
      [...this.#edges].map(async (edge) => {
        await edge.loaded
        return edge.ask(command)
      }),
    )
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
  }

  /**
   * Resolves when another edge serves; the one before it drains, for so long. Rejects, and changes nothing, when it does
   * not.
   */
  async replace(drainMs: number): Promise<void> {
    const next = this.#add()
    await this.#serve(next)
    const before = this.#current
    this.#current = next
    void before.drain(drainMs)
  }

  async close(drainMs: number): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#edges].map((edge) => edge.drain(drainMs)))
  }

  async #keepRunning(): Promise<void> {
    let pauseMs = 0
    for (;;) {
      const edge = this.#current
      await edge.exited
      if (edge !== this.#current) continue // it was replaced
      if (!this.#closed) this.#inForce.crashed()
      if (this.#serves) this.#serving = Promise.withResolvers()
      this.#serves = false
      const livedMs = performance.now() - edge.startedAtMs
      pauseMs = livedMs >= shortLifeMs ? 0 : Math.min(Math.max(firstPauseMs, pauseMs * 2), longestPauseMs)
      if (pauseMs > 0) await sleep(pauseMs)
      if (this.#closed) return
      if (edge === this.#current) this.#current = this.#start()
    }
  }

  #start(): EdgeProcess {
    const edge = this.#add()
    this.#serve(edge).catch(() => undefined) // it is killed, and the next one starts
    return edge
  }

  #add(): EdgeProcess {
    const edge = new EdgeProcess(this.#settings, this.#folder)
    this.#edges.add(edge)
    void edge.exited.then(() => {
      this.#edges.delete(edge)
      removeDrafts(this.#folder)
    })
    return edge
  }

  async #serve(edge: EdgeProcess): Promise<void> {
    try {
      await edge.loaded
      // Commands that come from now on follow this one on the same channel, so nothing between is lost.
      const inForce = this.#inForce
      const [table, holds, taps] = [inForce.table(), inForce.holds(), inForce.taps()]
      await edge.ask({ do: 'serve', table, holds, taps, ticketSecret: inForce.ticketSecret() })
      log('an edge serves', { edge: edge.pid, afterMs: Math.round(performance.now() - edge.startedAtMs) })
      this.#serves = true
      this.#serving.resolve()
    } catch (error) {
      log('an edge did not come to serve', { edge: edge.pid, error: String(error) })
      edge.kill('it did not come to serve')
      throw error
    }
  }
}

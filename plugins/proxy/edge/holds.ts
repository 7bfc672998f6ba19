/** Beyond this many waiting requests of an app, the next are refused: memory has an end. */
const waitingLimit = 10_000

interface Held {
  /** In the order of arrival. */
  readonly waiting: Set<() => void>
  timer: NodeJS.Timeout
}

/** Apps whose new requests wait, while a traffic switch replaces the table on all edges. */
export class Holds {
  readonly #held = new Map<string, Held>()

  has(app: string): boolean {
    return this.#held.size > 0 && this.#held.has(app)
  }

  hold(app: string, limitMs: number): void {
    const held = this.#held.get(app)
    clearTimeout(held?.timer)
    const timer = setTimeout(() => this.release(app), limitMs)
    if (held === undefined) this.#held.set(app, { waiting: new Set(), timer })
    else held.timer = timer
  }

  /** Lets all go, in order. They resolve anew, against the table in force. */
  release(app: string): void {
    const held = this.#held.get(app)
    if (held === undefined) return
    clearTimeout(held.timer)
    this.#held.delete(app)
    for (const proceed of held.waiting) proceed()
  }

  releaseAll(): void {
    for (const app of [...this.#held.keys()]) this.release(app)
  }

  /** Calls `proceed` when the app is released. Returns how to leave the queue; undefined when it is full. */
  wait(app: string, proceed: () => void): (() => void) | undefined {
    const waiting = this.#held.get(app)?.waiting
    if (waiting === undefined || waiting.size >= waitingLimit) return undefined
    waiting.add(proceed)
    return () => waiting.delete(proceed)
  }
}

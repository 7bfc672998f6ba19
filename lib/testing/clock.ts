import type { Clock } from '@rivetr/sdk'

interface Timer {
  readonly at: number
  readonly run: () => void
}

/** Time that stands still until a test moves it. */
export class TestClock implements Clock {
  #now: number
  #timers: Timer[] = []

  constructor(start = '2026-01-01T00:00:00Z') {
    this.#now = Date.parse(start)
  }

  now(): number {
    return this.#now
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const takeBack = this.after(ms, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      const onAbort = () => {
        takeBack()
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Moves time on and runs what falls due on the way, in order; what that leads to is run as well. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      this.#timers = this.#timers.filter((other) => other !== next)
      this.#now = Math.max(this.#now, next.at)
      next.run()
      await new Promise(setImmediate)
    }
    // Another move that began meanwhile may have come further.
    this.#now = Math.max(this.#now, end)
    await new Promise(setImmediate)
  }
}

const beatMs = 10

/** Time that goes on with the real one, from now, and that a test can move on besides. For real peers, which have no other. */
export class RunningClock extends TestClock implements Disposable {
  readonly #beat: NodeJS.Timeout
  #last = performance.now()

  constructor(start = new Date().toISOString()) {
    super(start)
    this.#beat = setInterval(() => {
      const now = performance.now()
      const passed = now - this.#last
      this.#last = now
      void this.advance(passed)
    }, beatMs)
    this.#beat.unref()
  }

  [Symbol.dispose](): void {
    clearInterval(this.#beat)
  }
}

import { type Clock, RivetrError } from '@rivetr/sdk'

const windowMs = 15 * 60_000
/** More names than this at a time push the oldest out, so that guessing cannot fill the memory. */
const maxNames = 10_000

/** Counts attempts by name, in windows of a quarter of an hour. */
export class AttemptLimit {
  readonly #clock: Clock
  readonly #windows = new Map<string, { count: number; endsAt: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Counts one attempt before it is made, so that many at once do not slip through. Errors: `too_many_requests`. */
  count(name: string, limit: number): void {
    const now = this.#clock.now()
    const known = this.#windows.get(name)
    const window = known !== undefined && known.endsAt > now ? known : { count: 0, endsAt: now + windowMs }
    window.count += 1
    this.#windows.delete(name)
    this.#windows.set(name, window)
    this.#forgetOldest()
    if (window.count <= limit) return
    const retryAfterSeconds = Math.ceil((window.endsAt - now) / 1000)
    throw new RivetrError('too_many_requests', `too many attempts; try again in ${retryAfterSeconds} s`, {
      details: { retryAfterSeconds },
    })
  }

  /** After a success. */
  forget(name: string): void {
    this.#windows.delete(name)
  }

  #forgetOldest(): void {
    if (this.#windows.size <= maxNames) return
    const [oldest] = this.#windows.keys()
    if (oldest !== undefined) this.#windows.delete(oldest)
  }
}

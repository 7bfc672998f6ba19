import type { Clock } from '@rivetr/sdk'
import type { Providers } from './providers.ts'

/**
 * Apps whose requests wait because somebody asked for it. In memory, as the pause is in the edges: after a restart of
 * the kernel it ends by its limit.
 */
export class Pauses {
  readonly #untilMs = new Map<string, number>()
  readonly #clock: Clock
  readonly #providers: Providers

  constructor(clock: Clock, providers: Providers) {
    this.#clock = clock
    this.#providers = providers
  }

  async pause(app: string, limitMs: number): Promise<void> {
    await this.#providers.traffic().hold(app, limitMs)
    this.#untilMs.set(app, this.#clock.now() + limitMs)
  }

  async resume(app: string): Promise<void> {
    this.#untilMs.delete(app)
    await this.#providers.traffic().release(app)
  }

  /** When the requests are let go; undefined for an app that is not paused. */
  until(app: string): number | undefined {
    const untilMs = this.#untilMs.get(app)
    if (untilMs === undefined || untilMs > this.#clock.now()) return untilMs
    this.#untilMs.delete(app)
    return undefined
  }

  /** A switch of releases is over: its own hold ends, the pause goes on. */
  async afterSwitch(app: string): Promise<void> {
    const untilMs = this.until(app)
    if (untilMs === undefined) await this.#providers.traffic().release(app)
    else await this.#providers.traffic().hold(app, untilMs - this.#clock.now())
  }
}

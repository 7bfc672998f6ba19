import { type Clock, z } from '@rivetr/sdk'

/** What was rejected since Rivetr started. */
export const rejectionView = z.object({
  count: z.int(),
  lastReason: z.string().optional(),
  lastAt: z.iso.datetime().optional(),
  /** How many by provider. */
  providers: z.record(z.string(), z.int()),
})
export type RejectionView = z.output<typeof rejectionView>

/** Requests whose signature fits no app: only counted, as anybody can send them. Since the start, in memory. */
export class Rejections {
  readonly #clock: Clock
  #view: RejectionView = { count: 0, providers: {} }

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(provider: string, reason: string): void {
    const { count, providers } = this.#view
    this.#view = {
      count: count + 1,
      lastReason: `${provider}: ${reason}`,
      lastAt: new Date(this.#clock.now()).toISOString(),
      providers: { ...providers, [provider]: (providers[provider] ?? 0) + 1 },
    }
  }

  get view(): RejectionView {
    return this.#view
  }
}

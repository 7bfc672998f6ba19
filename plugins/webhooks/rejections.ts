import type { Clock } from '@rivetr/sdk'

export interface RejectionView {
  count: number
  lastReason?: string
  lastAt?: string
}

/** Requests whose signature fits no app: only counted, as anybody can send them. Since the start, in memory. */
export class Rejections {
  readonly #clock: Clock
  #view: RejectionView = { count: 0 }

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(lastReason: string): void {
    this.#view = {
      count: this.#view.count + 1,
      lastReason,
      lastAt: new Date(this.#clock.now()).toISOString(),
    }
  }

  get view(): RejectionView {
    return this.#view
  }
}

export interface TransferLimits {
  readonly slowestBytesPerSecond: number
  readonly slowForSeconds: number
}

/** Sees that a transfer is not slower than the limit for so long, as git does over http. */
export class TransferWatch {
  #bytes = 0
  readonly #timer: NodeJS.Timeout

  constructor({ slowestBytesPerSecond, slowForSeconds }: TransferLimits, giveUp: () => void) {
    this.#timer = setInterval(() => {
      if (this.#bytes < slowestBytesPerSecond * slowForSeconds) giveUp()
      this.#bytes = 0
    }, slowForSeconds * 1_000)
  }

  count(bytes: number): void {
    this.#bytes += bytes
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

/** What people are told when the limit was not kept. */
export function tooSlow(place: string): string {
  return `the transfer from ${place} was too slow and was given up; try again, or lower slowest_bytes_per_second`
}

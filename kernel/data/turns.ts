/** A bounded number of turns, given in the order in which they were asked for. */
export class Turns {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  /** Runs work in a turn. An abort while waiting gives the place up. */
  async take<T>(signal: AbortSignal, onWait: () => void, work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1
    else {
      onWait()
      await this.#wait(signal)
    }
    try {
      return await work()
    } finally {
      this.#pass()
    }
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const turn = () => {
        signal.removeEventListener('abort', giveUp)
        resolve()
      }
      const giveUp = () => {
        const place = this.#waiting.indexOf(turn)
        if (place >= 0) this.#waiting.splice(place, 1)
        reject(signal.reason)
      }
      if (signal.aborted) return reject(signal.reason)
      signal.addEventListener('abort', giveUp, { once: true })
      this.#waiting.push(turn)
    })
  }

  #pass(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free += 1
    else next()
  }
}

const Bytes = globalThis.Uint8Array

/** What a script has taken of bytes so far; beyond the budget `onSpent` is called, which does not return. */
export class MemoryBudget {
  #left = Number.POSITIVE_INFINITY
  readonly #onSpent: () => never

  constructor(onSpent: () => never) {
    this.#onSpent = onSpent
  }

  begin(bytes: number): void {
    this.#left = bytes
  }

  end(): void {
    this.#left = Number.POSITIVE_INFINITY
  }

  /**
   * Counts every array of bytes that is made from now on: the strings of fengari are such arrays, outside of the heap that
   * `resourceLimits` bounds. What was freed counts as well, so the budget is a bound whatever the collector does. To be
   * called before fengari is loaded.
   */
  watch(): void {
    const take = (bytes: number) => {
      this.#left -= bytes
      if (this.#left < 0) this.#onSpent()
    }
    globalThis.Uint8Array = new Proxy(Bytes, {
      construct(target, args, newTarget) {
        const [length] = args as [unknown]
        if (typeof length === 'number') take(length)
        return Reflect.construct(target, args, newTarget)
      },
    })
    const { slice } = Bytes.prototype
    Bytes.prototype.slice = function (start, end) {
      const copy = slice.call(this, start, end)
      take(copy.length)
      return copy
    }
  }
}

import type { Clock, GuardOwner, Logger } from '@rivetr/sdk'
import { errorFields } from './logger.ts'
import { asPlugin } from './plugin-code.ts'

/** How long one undo may take before the next is tried. */
const undoLimitMs = 10_000

/** All that a plugin registered. Stop, reload and failure are one operation: dispose, in reverse. */
export class Scope implements GuardOwner {
  readonly plugin: string
  readonly clock: Clock
  readonly log: Logger
  readonly #controller = new AbortController()
  readonly #undo: (() => void | Promise<void>)[] = []
  readonly #onFailed: (where: string, error: unknown) => void

  constructor(
    plugin: string,
    clock: Clock,
    log: Logger,
    onFailed: (where: string, error: unknown) => void = () => undefined,
  ) {
    this.plugin = plugin
    this.clock = clock
    this.log = log
    this.#onFailed = onFailed
  }

  get closed(): boolean {
    return this.#controller.signal.aborted
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  failed(where: string, error: unknown): void {
    this.log.warn(`plugin ${this.plugin} failed in ${where}`, errorFields(error))
    this.#onFailed(where, error)
  }

  /** Makes a registration and keeps what undoes it. Nothing is made once the scope is closed. */
  register(make: () => () => void | Promise<void>): void {
    if (this.closed) throw new Error(`plugin ${this.plugin} is stopped and can register nothing`)
    this.#undo.push(make())
  }

  add(undo: () => void | Promise<void>): void {
    this.register(() => undo)
  }

  /** Undoes everything, last first. One undo that fails or hangs never keeps the others from running. */
  async dispose(): Promise<void> {
    if (this.closed) return
    this.#controller.abort(new DOMException(`plugin ${this.plugin} stops`, 'AbortError'))
    for (const undo of this.#undo.splice(0).reverse()) {
      try {
        await this.#bounded(undo)
      } catch (error) {
        this.log.error(`plugin ${this.plugin} could not undo a registration`, errorFields(error))
      }
    }
  }

  async #bounded(undo: () => void | Promise<void>): Promise<void> {
    let takeBack: () => void = () => undefined
    const late = new Promise<never>((_, reject) => {
      takeBack = this.clock.after(undoLimitMs, () =>
        reject(new Error(`did not end within ${undoLimitMs} ms`)),
      )
    })
    try {
      await Promise.race([asPlugin(this.plugin, undo), late])
    } finally {
      takeBack()
    }
  }
}

import { RivetrError, type RouteTable, type Traffic, type TrafficStats } from '@rivetr/sdk'

/** A `Traffic` that carries nothing: it records what it was told, and fails where a test wants it to. */
export class FakeTraffic implements Traffic {
  /** Calls in their order: `apply 1/2`, `hold app-1`, `release app-1`. */
  readonly calls: string[] = []
  table: RouteTable = { routes: [] }
  epoch = 0
  generation = 0
  readonly held = new Set<string>()
  /** What `stats` says is on its way, by replica id. */
  inFlight: Record<string, number> = {}
  readonly #failures: { readonly method: keyof Traffic; readonly error: Error }[] = []

  /** The next call of this method fails, once. Several are used up in their order. */
  failNext(
    method: keyof Traffic,
    error: Error = new RivetrError('unavailable', `${method} fails, as the test wants it`),
  ): void {
    this.#failures.push({ method, error })
  }

  async apply(table: RouteTable, epoch: number, generation: number): Promise<void> {
    this.calls.push(`apply ${epoch}/${generation}`)
    this.#failIfWanted('apply')
    if (epoch < this.epoch || (epoch === this.epoch && generation < this.generation)) {
      throw new RivetrError(
        'conflict',
        `epoch ${epoch}, generation ${generation} is older than the table in force`,
      )
    }
    this.table = table
    this.epoch = epoch
    this.generation = generation
  }

  async hold(app: string): Promise<void> {
    this.calls.push(`hold ${app}`)
    this.#failIfWanted('hold')
    this.held.add(app)
  }

  async release(app: string): Promise<void> {
    this.calls.push(`release ${app}`)
    this.#failIfWanted('release')
    this.held.delete(app)
  }

  async stats(): Promise<TrafficStats> {
    this.#failIfWanted('stats')
    return {
      edges: 1,
      epoch: this.epoch,
      generation: this.generation,
      inFlight: { ...this.inFlight },
      requests: 0,
    }
  }

  #failIfWanted(method: keyof Traffic): void {
    const at = this.#failures.findIndex((failure) => failure.method === method)
    const [failure] = at < 0 ? [] : this.#failures.splice(at, 1)
    if (failure !== undefined) throw failure.error
  }
}

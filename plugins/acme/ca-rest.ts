import type { Clock, Database, Logger } from '@rivetr/sdk'
import type { AcmeConfig } from './config.ts'
import { CaPause } from './entities.ts'

/** How long the CA wants to be left alone by everybody. It is kept: a restart must not be a way around it. */
export class CaRest {
  readonly #directoryUrl: string
  readonly #database: Database
  readonly #clock: Clock
  readonly #log: Logger
  #until = 0

  constructor(
    { directoryUrl }: Pick<AcmeConfig, 'directoryUrl'>,
    database: Database,
    clock: Clock,
    log: Logger,
  ) {
    this.#directoryUrl = directoryUrl
    this.#database = database
    this.#clock = clock
    this.#log = log
  }

  async load(): Promise<void> {
    const row = await this.#database.rows.findOne(CaPause, { directoryUrl: this.#directoryUrl })
    this.#until = row?.until ?? 0
  }

  /** When it ends; undefined where there is none. */
  get endsAt(): number | undefined {
    return this.#until > this.#clock.now() ? this.#until : undefined
  }

  /** It never gets shorter. */
  async extend(until: number): Promise<void> {
    if (until <= this.#until) return
    this.#until = until
    this.#log.warn('the CA wants to be left alone', { until: new Date(until).toISOString() })
    await this.#database.rows.upsert(CaPause, { directoryUrl: this.#directoryUrl, until })
  }
}

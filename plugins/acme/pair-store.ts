import { type Logger, messageOf, type Secrets, z } from '@rivetr/sdk'
import { type Pair, readPair } from './pair.ts'

/** Under which everything of this plugin is kept. */
export const secretScope = 'acme'

const keptPair = z.object({ chain: z.string(), key: z.string() })

/** Certificates with their keys: encrypted at rest, chain and key in one piece so that no crash can part them, opened in memory. */
export class PairStore {
  readonly #secrets: Secrets
  readonly #log: Logger
  readonly #open = new Map<string, Pair>()

  constructor(secrets: Secrets, log: Logger) {
    this.#secrets = secrets
    this.#log = log
  }

  /** One that was loaded or put. */
  find(name: string): Pair | undefined {
    return this.#open.get(name)
  }

  /** Undefined where there is none that could be served: then the reason is logged. */
  async load(name: string): Promise<Pair | undefined> {
    try {
      const text = await this.#secrets.find(secretScope, name)
      if (text === undefined) throw new Error('it is not there')
      const { chain, key } = keptPair.parse(JSON.parse(text))
      this.#open.set(name, readPair(chain, key))
    } catch (error) {
      this.#log.warn(`the stored certificate ${name} is damaged and not served`, { error: messageOf(error) })
    }
    return this.#open.get(name)
  }

  async put(name: string, pair: Pair): Promise<void> {
    const { chain, key } = pair
    await this.#secrets.put(secretScope, name, JSON.stringify({ chain, key }))
    this.#open.set(name, pair)
  }

  async remove(name: string): Promise<void> {
    await this.#secrets.remove(secretScope, name)
    this.#open.delete(name)
  }
}

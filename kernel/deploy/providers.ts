import {
  Certificates,
  type Images,
  Images as ImagesToken,
  type NamedToken,
  RivetrError,
  Runtime,
  type Token,
  Traffic,
  tokenName,
} from '@rivetr/sdk'
import { type Container, keyOf } from '../host/container.ts'

/** What the pipeline reaches of the plugins: always by the name that a row says, as it is there now. */
export class Providers {
  readonly #container: Container

  constructor(container: Container) {
    this.#container = container
  }

  find<T>(token: NamedToken<T>, name: string): T | undefined {
    return this.#container.find<T>(keyOf(token, name))
  }

  get<T>(token: NamedToken<T>, name: string): T {
    const found = this.find(token, name)
    if (found !== undefined) return found
    const names = this.#container.namesOf(token)
    throw new RivetrError(
      'unavailable',
      `no ${tokenName(token)} "${name}" is running; there ${names.length === 1 ? 'is' : 'are'} ${names.join(', ') || 'none'}`,
    )
  }

  one<T>(token: Token<T>): T {
    const found = this.#container.find<T>(token)
    if (found === undefined)
      throw new RivetrError(
        'unavailable',
        `nothing provides "${tokenName(token)}"; see "rivetr plugins" for the plugin that failed`,
      )
    return found
  }

  all<T>(token: NamedToken<T>): Map<string, T> {
    return new Map(this.#container.namesOf(token).map((name) => [name, this.get(token, name)]))
  }

  runtime(name: string): Runtime {
    return this.get(Runtime, name)
  }

  /** Images of the engine that a runtime has; native has none. */
  images(runtime: string): Images | undefined {
    return this.find(ImagesToken, runtime)
  }

  traffic(): Traffic {
    return this.one(Traffic)
  }

  /** Without a provider of certificates hosts are served without one. */
  certificates(): Certificates | undefined {
    return this.#container.find<Certificates>(Certificates)
  }
}

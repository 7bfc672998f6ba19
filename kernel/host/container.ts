import 'reflect-metadata'
import { type NamedToken, RivetrError, type Token, tokenName } from '@rivetr/sdk'
import { type DependencyContainer, instancePerContainerCachingFactory, container as root } from 'tsyringe'

/** The only file that knows tsyringe: tokens and factories, one child container per plugin, no decorators. */
export class Container {
  readonly #root: DependencyContainer = root.createChildContainer()
  /** Which container holds a key now. tsyringe cannot unregister; forgetting the owner can. */
  readonly #owners = new Map<symbol, DependencyContainer>()

  /** A container for one plugin; what it provides goes with it. */
  child(): PluginContainer {
    return new PluginContainer(this.#root.createChildContainer(), this.#owners)
  }

  find<T>(key: symbol): T | undefined {
    return this.#owners.get(key)?.resolve<T>(key)
  }

  /** Names under which a family has implementations now. */
  namesOf<T>(token: NamedToken<T>): string[] {
    const prefix = `${Symbol.keyFor(token)}:`
    return [...this.#owners.keys()].flatMap((key) => {
      const name = Symbol.keyFor(key)
      return name?.startsWith(prefix) ? [name.slice(prefix.length)] : []
    })
  }
}

export class PluginContainer {
  readonly #own: DependencyContainer
  readonly #owners: Map<symbol, DependencyContainer>

  constructor(own: DependencyContainer, owners: Map<symbol, DependencyContainer>) {
    this.#own = own
    this.#owners = owners
  }

  /** The factory runs once, when first asked for. Returns what undoes it. */
  provide<T>(key: symbol, factory: () => T): () => void {
    if (this.#owners.has(key))
      throw new RivetrError('plugin_invalid', `"${tokenName(key)}" is provided already`)
    this.#own.register(key, { useFactory: instancePerContainerCachingFactory(factory) })
    this.#owners.set(key, this.#own)
    return () => this.#owners.delete(key)
  }
}

/** The container's key of a token: a named one has its name in it. */
export function keyOf<T>(token: Token<T> | NamedToken<T>, name?: string): symbol {
  return name === undefined ? token : Symbol.for(`${Symbol.keyFor(token)}:${name}`)
}

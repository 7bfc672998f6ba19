import { type GuardOwner, providerError, RivetrError } from '@rivetr/sdk'
import { assertOutsideTransaction } from '../data/transaction.ts'
import { asPlugin } from './plugin-code.ts'

/**
 * Stands before a provider: an error in a call names plugin and method, a call after the plugin stopped is `unavailable`,
 * and none is made inside a database transaction.
 */
export function guardProvider<T>(token: string, provider: T, owner: GuardOwner): T {
  if (typeof provider !== 'object' || provider === null) return provider
  const methods = new Map<PropertyKey, (...args: unknown[]) => unknown>()
  const guarded = (property: PropertyKey) => {
    const where = `${token}.${String(property)}`
    return (...args: unknown[]): unknown => {
      if (owner.closed)
        throw new RivetrError('unavailable', `plugin ${owner.plugin} is stopped, so ${where} is not there`)
      assertOutsideTransaction(where)
      try {
        const method = Reflect.get(provider, property) as (...args: unknown[]) => unknown
        const result = asPlugin(owner.plugin, () => method.apply(provider, args))
        return result instanceof Promise ? result.catch((error: unknown) => fail(where, error)) : result
      } catch (error) {
        return fail(where, error)
      }
    }
  }
  // Not over the provider itself: a proxy may not answer with another function where a frozen object holds one.
  return new Proxy({} as T & object, {
    get(_, property) {
      const value: unknown = Reflect.get(provider, property)
      if (typeof value !== 'function') return value
      const known = methods.get(property) ?? guarded(property)
      methods.set(property, known)
      return known
    },
    has: (_, property) => Reflect.has(provider, property),
    getPrototypeOf: () => Reflect.getPrototypeOf(provider),
  })

  function fail(where: string, error: unknown): never {
    if (error instanceof Error && error.name === 'AbortError') throw error
    throw providerError(owner.plugin, where, error)
  }
}

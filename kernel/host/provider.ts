import { type GuardOwner, providerError, RivetrError } from '@rivetr/sdk'
import { assertOutsideTransaction } from '../data/transaction.ts'

/**
 * Stands before a provider: an error in a call names plugin and method, a call after the plugin stopped is `unavailable`,
 * and none is made inside a database transaction.
 */
export function guardProvider<T>(token: string, provider: T, owner: GuardOwner): T {
  if (typeof provider !== 'object' || provider === null) return provider
  const methods = new Map<PropertyKey, unknown>()
  return new Proxy(provider, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target)
      if (typeof value !== 'function') return value
      const known = methods.get(property)
      if (known !== undefined) return known
      const guarded = (...args: unknown[]): unknown => {
        const where = `${token}.${String(property)}`
        if (owner.closed)
          throw new RivetrError('unavailable', `plugin ${owner.plugin} is stopped, so ${where} is not there`)
        assertOutsideTransaction(where)
        try {
          const result: unknown = value.apply(target, args)
          return result instanceof Promise ? result.catch((error: unknown) => fail(where, error)) : result
        } catch (error) {
          return fail(where, error)
        }
      }
      methods.set(property, guarded)
      return guarded
    },
  })

  function fail(where: string, error: unknown): never {
    if (error instanceof Error && error.name === 'AbortError') throw error
    throw providerError(owner.plugin, where, error)
  }
}

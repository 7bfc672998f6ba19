import { AsyncLocalStorage } from 'node:async_hooks'

const inside = new AsyncLocalStorage<true>()

/** Runs work as the inside of a transaction. */
export function asTransaction<T>(work: () => Promise<T>): Promise<T> {
  return inside.run(true, work)
}

/**
 * SQLite has one connection: whoever awaits a hook, a provider or another query inside a transaction waits for ever.
 * So it throws instead.
 */
export function assertOutsideTransaction(what: string): void {
  if (inside.getStore()) throw new Error(`${what} may not be awaited inside a database transaction`)
}

/** For what nobody waits for inside: it runs beside the transaction, not in it. */
export function outsideTransaction<T>(work: () => T): T {
  return inside.exit(work)
}

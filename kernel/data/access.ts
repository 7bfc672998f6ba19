import type { FilterQuery, InferEntity } from '@mikro-orm/core'
import { type Action, type Principal, permits, RivetrError } from '@rivetr/sdk'
import type { AppRow } from './entities/index.ts'

/** Every service asks this first. */
export function assertMay(principal: Principal, action: Action): void {
  if (permits(principal, action)) return
  if (principal.kind === 'anonymous') throw new RivetrError('unauthenticated', 'sign in, or send an API key')
  throw new RivetrError(
    'forbidden',
    `${principal.name} may not ${action}; its scopes are ${principal.scopes.join(', ') || 'none'}`,
  )
}

/**
 * The apps that a principal can see: part of every query of apps, and through apps of everything that belongs to them.
 * Today all or none; a boundary between projects is a change of this function.
 */
export function visibleApps(principal: Principal): FilterQuery<InferEntity<typeof AppRow>> {
  if (principal.kind === 'anonymous') throw new RivetrError('unauthenticated', 'sign in, or send an API key')
  return {}
}

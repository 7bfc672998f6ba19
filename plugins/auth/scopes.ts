import { type AnyRoute, RivetrError, z } from '@rivetr/sdk'

/** `apps:read`, `apps:*` or `*`. */
export const scope = z
  .string()
  .max(100)
  .regex(/^(\*|[a-z][a-z0-9-]*:(\*|[a-z][a-z0-9-]*))$/, 'a scope such as apps:read, apps:* or *')

/** Refuses scopes that no route asks for: a slip of the pen would make a key that can do nothing. */
export function assertKnown(
  scopes: readonly string[],
  routes: readonly { readonly route: AnyRoute }[],
): void {
  const known = new Set(['*'])
  for (const { route } of routes) {
    if (route.access === 'public') continue
    known.add(route.access)
    known.add(`${route.access.split(':', 1)[0]}:*`)
  }
  const unknown = scopes.filter((wanted) => !known.has(wanted))
  if (unknown.length === 0) return
  const issues = unknown.map((wanted) => ({ path: 'scopes', message: `there is no scope ${wanted}` }))
  const all = [...known].sort().join(', ')
  throw new RivetrError('invalid_input', `there is no scope ${unknown.join(', ')}; there are ${all}`, {
    details: { issues },
  })
}

/** Refuses scopes that the maker of a key does not have. */
export function assertCovered(wanted: readonly string[], held: readonly string[]): void {
  const missing = wanted.filter((scope) => !held.some((holds) => covers(holds, scope)))
  if (missing.length === 0) return
  throw new RivetrError('forbidden', `a key cannot have more than its maker; you lack ${missing.join(', ')}`)
}

function covers(holds: string, wanted: string): boolean {
  return holds === '*' || holds === wanted || (holds.endsWith(':*') && wanted.startsWith(holds.slice(0, -1)))
}

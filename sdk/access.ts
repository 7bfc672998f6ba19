/** Who does something. Handlers get it from the request and hand it to every service. */
export interface Principal {
  readonly kind: 'user' | 'key' | 'system' | 'anonymous'
  readonly id: string
  /** For people: an e-mail address, a key's name, `system:<plugin>`. */
  readonly name: string
  /** What it may do: actions such as `apps:read`, `apps:*` or `*`. */
  readonly scopes: readonly string[]
}

/** `<resource>:<verb>`, e.g. `apps:deploy`. */
export type Action = `${string}:${string}`

/** Who may call a route: anyone, or principals whose scopes hold the action. */
export type Access = 'public' | Action

/** What an action is done to, for `authorize` and the audit log. */
export interface Resource {
  readonly kind: string
  readonly id?: string | undefined
}

/** Whoever did not say who they are: may call public routes and nothing else. */
export const anonymous: Principal = Object.freeze({
  kind: 'anonymous',
  id: 'anonymous',
  name: 'anonymous',
  scopes: [],
})

/**
 * For work that no person asked for at that moment (a webhook, a schedule, recovery). Never in a route's handler:
 * there the request has a principal (the architecture test refuses it).
 */
export function systemPrincipal(plugin: string): Principal {
  return { kind: 'system', id: plugin, name: `system:${plugin}`, scopes: ['*'] }
}

/** Whether the scopes hold the action: exact, `apps:*` or `*`. */
export function permits(principal: Principal, action: Action): boolean {
  const [resource] = action.split(':', 1)
  return principal.scopes.some((scope) => scope === '*' || scope === action || scope === `${resource}:*`)
}

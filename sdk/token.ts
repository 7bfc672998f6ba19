declare const provides: unique symbol

/** Names a service of which there is one: `ctx.get(Secrets)`. A registered symbol, so that two copies of the sdk agree. */
export type Token<T> = symbol & { readonly [provides]: { readonly one: T } }

/** Names a family of which there are several, chosen by name: `ctx.get(Runtime, 'docker')`. */
export type NamedToken<T> = symbol & { readonly [provides]: { readonly many: T } }

const prefix = 'rivetr:'

/** A token for a service with one implementation. `name` is what manifests write in `requires` and `provides`. */
export function token<T>(name: string): Token<T> {
  return Symbol.for(prefix + name) as Token<T>
}

/** A token for a family of named implementations; manifests write `runtime:docker` for one, `runtime` for any. */
export function namedToken<T>(name: string): NamedToken<T> {
  return Symbol.for(prefix + name) as NamedToken<T>
}

/** The name that manifests use for a token, e.g. `secrets` or `runtime`. */
export function tokenName(token: symbol): string {
  return (Symbol.keyFor(token) ?? String(token)).replace(prefix, '')
}

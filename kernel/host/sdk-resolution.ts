import { registerHooks } from 'node:module'

let shared = false

/** A plugin outside of this workspace gets the very sdk that the kernel has: its own copy would have other classes. */
export function shareSdk(): void {
  if (shared) return
  shared = true
  registerHooks({
    resolve: (specifier, context, next) => {
      if (/^@rivetr\/sdk(\/|$)/.test(specifier))
        return next(specifier, { ...context, parentURL: import.meta.url })
      const resolved = next(specifier, context)
      const load = /[?&](rivetr-load=\d+)$/.exec(context.parentURL ?? '')?.[1]
      return load === undefined || !/^\.\.?\//.test(specifier)
        ? resolved
        : { ...resolved, url: `${resolved.url}?${load}` }
    },
  })
}

let loads = 0

/** An address under which a module, and the files of it that it imports, are read anew: Node keeps what it has read once. */
export function freshUrl(entry: URL): string {
  loads += 1
  return `${entry.href}?rivetr-load=${loads}`
}

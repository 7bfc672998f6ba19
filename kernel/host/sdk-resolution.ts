import { registerHooks } from 'node:module'

let shared = false

/** A plugin outside of this workspace gets the very sdk that the kernel has: its own copy would have other classes. */
export function shareSdk(): void {
  if (shared) return
  shared = true
  registerHooks({
    resolve: (specifier, context, next) =>
      /^@rivetr\/sdk(\/|$)/.test(specifier)
        ? next(specifier, { ...context, parentURL: import.meta.url })
        : next(specifier, context),
  })
}

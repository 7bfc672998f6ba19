import { type Manifest, RivetrError } from '@rivetr/sdk'

/**
 * The order in which plugins are set up: whoever provides a token before whoever requires it (or may use it), ties by
 * name, so that every boot is the same. `broken` names those that cannot run, with the first cause.
 */
export function orderPlugins(
  manifests: readonly Manifest[],
  kernelTokens: ReadonlySet<string>,
): { order: string[]; broken: Map<string, string> } {
  const sorted = [...manifests].sort((a, b) => (a.name < b.name ? -1 : 1))
  const broken = new Map<string, string>()
  let missing = true
  while (missing) {
    missing = false
    const running = sorted.filter(({ name }) => !broken.has(name))
    for (const { name, requires } of running) {
      const absent = requires.find(
        (wanted) => !kernelTokens.has(familyOf(wanted)) && providersOf(wanted, running).length === 0,
      )
      if (absent === undefined) continue
      broken.set(name, `it requires "${absent}", which no plugin that runs provides`)
      missing = true
    }
  }
  const running = sorted.filter(({ name }) => !broken.has(name))
  const order: string[] = []
  const path: string[] = []
  const visit = ({ name, requires, optional }: Manifest): void => {
    if (order.includes(name)) return
    if (path.includes(name)) {
      throw new RivetrError(
        'plugin_invalid',
        `plugins need each other in a circle: ${[...path.slice(path.indexOf(name)), name].join(' → ')}`,
      )
    }
    path.push(name)
    for (const wanted of [...requires, ...optional]) {
      for (const provider of providersOf(wanted, running)) if (provider.name !== name) visit(provider)
    }
    path.pop()
    order.push(name)
  }
  for (const manifest of running) visit(manifest)
  return { order, broken }
}

/** Plugins that a token leads to: `runtime` to every runtime, `runtime:docker` to one. */
export function providersOf(wanted: string, manifests: readonly Manifest[]): Manifest[] {
  return manifests.filter(({ provides }) => provides.some((provided) => covers(wanted, provided)))
}

/** Whether a reference (`runtime`, `runtime:docker`) names this token. */
export function covers(reference: string, token: string): boolean {
  return reference === token || token.startsWith(`${reference}:`)
}

function familyOf(token: string): string {
  return token.split(':', 1)[0] ?? token
}

import type { Manifest } from '@rivetr/sdk'

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
  for (;;) {
    const running = sorted.filter(({ name }) => !broken.has(name))
    const faults = new Map([...missingRequirements(running, kernelTokens)])
    if (faults.size === 0) {
      const { order, circle } = sortByNeed(running)
      if (circle === undefined) return { order, broken }
      for (const name of circle)
        faults.set(name, `plugins need each other in a circle: ${[...circle, circle[0]].join(' → ')}`)
    }
    for (const [name, why] of faults) broken.set(name, why)
  }
}

function* missingRequirements(
  running: readonly Manifest[],
  kernelTokens: ReadonlySet<string>,
): Generator<[plugin: string, why: string]> {
  for (const { name, requires } of running) {
    const absent = requires.find(
      (wanted) => !kernelTokens.has(familyOf(wanted)) && providersOf(wanted, running).length === 0,
    )
    if (absent !== undefined) yield [name, `it requires "${absent}", which no plugin that runs provides`]
  }
}

/** Depth first. `circle` is the first that was met, from the plugin that closes it. */
function sortByNeed(running: readonly Manifest[]): { order: string[]; circle?: string[] } {
  const order: string[] = []
  const path: string[] = []
  const visit = ({ name, requires, optional }: Manifest): string[] | undefined => {
    if (order.includes(name)) return undefined
    if (path.includes(name)) return path.slice(path.indexOf(name))
    path.push(name)
    for (const wanted of [...requires, ...optional]) {
      for (const provider of providersOf(wanted, running)) {
        const circle = provider.name === name ? undefined : visit(provider)
        if (circle !== undefined) return circle
      }
    }
    path.pop()
    order.push(name)
    return undefined
  }
  for (const manifest of running) {
    const circle = visit(manifest)
    if (circle !== undefined) return { order, circle }
  }
  return { order }
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

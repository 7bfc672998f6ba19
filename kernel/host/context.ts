import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  type AnyRoute,
  type Counter,
  type Manifest,
  Metrics,
  type NamedToken,
  type PluginContext,
  providerError,
  RivetrError,
  type Tap,
  type TapOptions,
  type Token,
  tokenName,
} from '@rivetr/sdk'
import { type Container, keyOf, type PluginContainer } from './container.ts'
import type { ContributionList } from './contribution-list.ts'
import type { HookHost } from './hook-host.ts'
import { covers } from './order.ts'
import { asPlugin } from './plugin-code.ts'
import { guardProvider } from './provider.ts'
import type { Scope } from './scope.ts'

/** What a context reaches of its kernel. */
export interface HostParts {
  readonly container: Container
  readonly hooks: HookHost
  readonly contributions: ContributionList
  readonly pluginsDir: string
  /** The kernel's services that differ per plugin (its own rows, its own schedules). */
  serviceFor(key: symbol, scope: Scope): unknown
}

/** The `ctx` of one plugin: everything lands in its scope. */
export function createContext<Config>(
  manifest: Manifest,
  config: Config,
  scope: Scope,
  own: PluginContainer,
  host: HostParts,
): PluginContext<Config> {
  const { name } = manifest

  function find<T>(token: Token<T> | NamedToken<T>, provider?: string): T | undefined {
    assertDeclared(manifest, token, provider)
    const key = keyOf(token as NamedToken<T>, provider)
    return (host.serviceFor(key, scope) as T | undefined) ?? host.container.find<T>(key)
  }

  function get<T>(token: Token<T> | NamedToken<T>, provider?: string): T {
    const found = find(token, provider)
    if (found === undefined)
      throw new RivetrError(
        'unavailable',
        `nothing provides "${tokenName(keyOf(token as NamedToken<T>, provider))}" now`,
      )
    return found
  }

  function provide<T>(token: Token<T> | NamedToken<T>, ...rest: [() => T] | [string, () => T]): void {
    const [provider, factory] = rest.length === 1 ? [undefined, rest[0]] : rest
    const key = keyOf(token as NamedToken<T>, provider)
    const provided = tokenName(key)
    if (!manifest.provides.includes(provided))
      throw new RivetrError(
        'plugin_invalid',
        `plugin ${name} provides "${provided}", which its manifest does not say`,
      )
    scope.register(() => own.provide(key, () => guardProvider(provided, made(provided, factory), scope)))
  }

  function made<T>(provided: string, factory: () => T): T {
    try {
      return asPlugin(name, factory)
    } catch (error) {
      throw providerError(name, `making "${provided}"`, error)
    }
  }

  return {
    name,
    config,
    log: scope.log,
    signal: scope.signal,
    get dataDir() {
      const folder = join(host.pluginsDir, name)
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      return folder
    },
    tap: (hook, tap, options: TapOptions = {}) =>
      scope.register(() => host.hooks.tap(hook, tap as Tap<never>, options.stage ?? 0, scope)),
    provide,
    get,
    find,
    all<T>(token: NamedToken<T>): ReadonlyMap<string, T> {
      const names = host.container
        .namesOf(token)
        .filter((provider) => declares(manifest, tokenName(keyOf(token, provider))))
      return new Map(names.map((provider) => [provider, get(token, provider)]))
    },
    route: (route) => scope.register(() => host.contributions.addRoute(manifest, asRouteOf(name, route))),
    page: (page) => scope.register(() => host.contributions.addPage(name, page)),
    widget: (widget) => scope.register(() => host.contributions.addWidget(name, widget)),
    get metrics() {
      return prefixed(name, host.container.find<Metrics>(Metrics) ?? unmeasured)
    },
    every(intervalMs, run) {
      void repeat(intervalMs, run, scope)
    },
    onStop: (undo) => scope.add(undo),
  }
}

/** Its handler is called by whoever serves routes, as code of the plugin that has the route. */
function asRouteOf(plugin: string, route: AnyRoute): AnyRoute {
  const handler = route.handler as (...given: unknown[]) => unknown
  return {
    ...route,
    handler: (...given: unknown[]) => asPlugin(plugin, () => handler.apply(route, given)),
  } as AnyRoute
}

function assertDeclared(manifest: Manifest, token: symbol, provider: string | undefined): void {
  const wanted = provider === undefined ? tokenName(token) : `${tokenName(token)}:${provider}`
  if (declares(manifest, wanted)) return
  throw new RivetrError(
    'plugin_invalid',
    `plugin ${manifest.name} asks for "${wanted}", which stands neither in requires nor in optional of its manifest`,
  )
}

function declares({ requires, optional }: Manifest, token: string): boolean {
  return [...requires, ...optional].some((reference) => covers(reference, token))
}

async function repeat(
  intervalMs: number,
  run: (signal: AbortSignal) => Promise<void>,
  scope: Scope,
): Promise<void> {
  while (!scope.closed) {
    try {
      await scope.clock.sleep(intervalMs, scope.signal)
    } catch {
      return // the plugin stops
    }
    try {
      await run(scope.signal)
    } catch (error) {
      if (!scope.closed) scope.failed('every', error)
    }
  }
}

/** Where no plugin measures, numbers go nowhere. */
const unmeasured: Metrics = {
  counter: (): Counter => ({ add: () => undefined }),
  gauge: () => ({ set: () => undefined }),
  histogram: () => ({ observe: () => undefined }),
}

function prefixed(plugin: string, metrics: Metrics): Metrics {
  const prefix = `${plugin.replaceAll('-', '_')}_`
  return {
    counter: (name, help) => metrics.counter(prefix + name, help),
    gauge: (name, help) => metrics.gauge(prefix + name, help),
    histogram: (name, help, buckets) => metrics.histogram(prefix + name, help, buckets),
  }
}

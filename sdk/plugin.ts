import type { EntitySchema } from '@mikro-orm/core'
import type { z } from 'zod'
import type { AnyRoute, PageContribution, WidgetContribution } from './contributions.ts'
import type { EdgeConfig } from './edge/index.ts'
import type { HookName, Tap } from './hooks.ts'
import type { Logger } from './log.ts'
import type { Metrics } from './providers/metrics.ts'
import type { NamedToken, Token } from './token.ts'

/** How a tap is placed among the others. */
export interface TapOptions {
  /** Lower goes first; 0 by default. */
  stage?: number
}

/** All that a plugin gets. Everything it registers lands in its scope and goes with it. */
export interface PluginContext<Config> {
  readonly name: string
  /** Parsed by the plugin's own schema. */
  readonly config: Config
  readonly log: Logger
  /** A folder of the plugin's own (0700), made when first asked for. */
  readonly dataDir: string
  /** Aborts when the plugin stops. */
  readonly signal: AbortSignal
  tap<N extends HookName>(hook: N, tap: NoInfer<Tap<N>>, options?: TapOptions): void
  /** Registers an implementation; the factory runs when it is first asked for. Must stand in the manifest's `provides`. */
  provide<T>(token: Token<T>, factory: () => NoInfer<T>): void
  provide<T>(token: NamedToken<T>, name: string, factory: () => NoInfer<T>): void
  /** Throws `plugin_invalid` for a token that the manifest does not name, `unavailable` when nobody provides it. */
  get<T>(token: Token<T>): T
  get<T>(token: NamedToken<T>, name: string): T
  find<T>(token: Token<T>): T | undefined
  find<T>(token: NamedToken<T>, name: string): T | undefined
  /** Every implementation of a family that runs now, by name. */
  all<T>(token: NamedToken<T>): ReadonlyMap<string, T>
  route(route: AnyRoute): void
  page(page: PageContribution): void
  widget(widget: WidgetContribution): void
  readonly metrics: Metrics
  /** Runs again and again, the next `intervalMs` after the last has ended; the first after one interval. */
  every(intervalMs: number, run: (signal: AbortSignal) => Promise<void>): void
  /** Undoes what was just opened. Run in reverse order when the plugin stops, reloads or fails. */
  onStop(undo: () => void | Promise<void>): void
}

/** DDL of one change; run once, in order. Recorded as `<plugin>/<name>`. */
export interface Migration {
  /** `0001-what` */
  readonly name: string
  readonly sqlite: readonly string[]
  /** The same for PostgreSQL; a plugin without it runs on SQLite alone. Texts are `text collate "C"`, JSON is `json`. */
  readonly postgresql?: readonly string[]
}

/** All of a plugin that is code. */
export interface PluginDefinition<Schema extends z.ZodObject> {
  /** As in the manifest. */
  readonly name: string
  /** Validation, defaults, documentation and the settings form of the section `[name]` of rivetr.toml. */
  readonly config?: Schema
  /** Tables are prefixed with `<name>__` (hyphens as underscores). */
  readonly entities?: readonly EntitySchema[]
  readonly migrations?: readonly Migration[]
  /** What of its configuration the taps of its edge module get: plain data, never a secret. Absent: nothing. */
  edgeConfig?(config: z.output<Schema>): EdgeConfig
  /** Registers; touches nothing of the world that takes long. */
  setup(ctx: PluginContext<z.output<Schema>>): void | Promise<void>
  /** After every plugin was set up: listens, connects, begins. */
  start?(ctx: PluginContext<z.output<Schema>>): void | Promise<void>
}

/** The default export of a plugin. */
export function definePlugin<Schema extends z.ZodObject = z.ZodObject<Record<string, never>>>(
  definition: PluginDefinition<Schema>,
): PluginDefinition<Schema> {
  return definition
}

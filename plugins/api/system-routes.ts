import {
  type AnyRoute,
  type Config,
  defineRoute,
  type EdgeTapStats,
  type Lifecycle,
  type PluginInfo,
  type Plugins,
  z,
} from '@rivetr/sdk'
import type { SystemStats } from './system-stats.ts'
import { systemStats } from './system-stats.ts'

const states = z.enum(['discovered', 'disabled', 'loading', 'configured', 'running', 'failed', 'stopped'])

export const pluginShape = z.object({
  name: z.string(),
  version: z.string(),
  builtIn: z.boolean(),
  state: states,
  error: z.object({ code: z.string(), message: z.string(), phase: z.string() }).optional(),
  requires: z.array(z.string()),
  provides: z.array(z.string()),
  permissions: z.array(z.string()),
  phases: z.record(z.string(), z.number()),
  taps: z.array(
    z.object({
      /** `edge:request`, `edge:response`, `edge:done` and `edge:load` are those in the edges. */
      hook: z.string(),
      calls: z.int(),
      errors: z.int(),
      muted: z.boolean(),
      totalMs: z.number(),
      /** The last one, of a tap in the edges. */
      error: z.string().optional(),
    }),
  ),
})

export interface SystemServices {
  readonly plugins: Plugins
  readonly config: Config
  readonly lifecycle: Lifecycle
  readonly stats: SystemStats
  edgeTaps(): Promise<readonly EdgeTapStats[]>
}

export function systemRoutes({ plugins, config, lifecycle, stats, edgeTaps }: SystemServices): AnyRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/plugins',
      summary: 'Every plugin with its state, its taps and how long each phase took',
      access: 'system:read',
      returns: z.object({ items: z.array(pluginShape) }),
      async handler() {
        const inEdges = await edgeTaps()
        return { items: plugins.list().map((info) => shown(info, inEdges)) }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/system/health',
      summary: 'Whether every plugin that should run does',
      access: 'system:read',
      returns: z.object({
        healthy: z.boolean(),
        version: z.string(),
        instance: z.string(),
        plugins: z.record(z.string(), states),
      }),
      async handler() {
        const all = plugins.list()
        return {
          healthy: all.every(({ state }) => state === 'running' || state === 'disabled'),
          version: config.version,
          instance: config.instance,
          plugins: Object.fromEntries(all.map(({ name, state }) => [name, state])),
        }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/system/stats',
      summary: 'What Rivetr and the machine use',
      access: 'system:read',
      returns: systemStats,
      handler: () => stats.read(),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/system/stop',
      summary: 'Stop Rivetr; apps go on serving unless all is true',
      access: 'system:write',
      body: z.strictObject({ all: z.boolean().default(false) }).default({ all: false }),
      returns: z.object({ stopping: z.literal(true) }),
      status: 202,
      async handler({ body }) {
        lifecycle.stop(body.all ? 'stop-all' : 'stop')
        return { stopping: true as const }
      },
    }),
  ]
}

export function shown(info: PluginInfo, inEdges: readonly EdgeTapStats[]): z.input<typeof pluginShape> {
  const own = inEdges.filter((tap) => tap.plugin === info.name)
  const edgeTaps = own.map(({ plugin: _, tap, ...stats }) => ({ hook: `edge:${tap}`, ...stats }))
  return { ...(info as z.input<typeof pluginShape>), taps: [...info.taps, ...edgeTaps] }
}

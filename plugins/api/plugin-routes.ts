import { isAbsolute } from 'node:path'
import { type AnyRoute, defineRoute, type EdgeTapStats, type Plugins, RivetrError, z } from '@rivetr/sdk'
import { pluginShape, shown } from './system-routes.ts'

interface PluginServices {
  readonly plugins: Plugins
  edgeTaps(): Promise<readonly EdgeTapStats[]>
}

const folder = z.string().min(1).max(4_000).refine(isAbsolute, "an absolute path on Rivetr's machine")
const named = z.object({ name: z.string().max(100) })
const offer = pluginShape.pick({
  name: true,
  version: true,
  requires: true,
  provides: true,
  permissions: true,
})

/** A plugin runs with all that Rivetr may do: who may write plugins may do everything. */
export function pluginRoutes({ plugins, edgeTaps }: PluginServices): AnyRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/plugins/:name',
      summary: 'One plugin with its state, its taps and how long each phase took',
      access: 'system:read',
      params: named,
      returns: pluginShape,
      async handler({ params: { name } }) {
        const info = plugins.list().find((each) => each.name === name)
        if (info === undefined) throw new RivetrError('not_found', `no plugin "${name}"`)
        return shown(info, await edgeTaps())
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/plugins/inspect',
      summary: 'What the plugin in a folder says of itself, without running it',
      access: 'plugins:write',
      body: z.strictObject({ folder }),
      returns: offer,
      handler: async ({ body }) => (await plugins.inspect(body.folder)) as z.input<typeof offer>,
    }),
    defineRoute({
      method: 'POST',
      path: '/api/plugins',
      summary:
        'Run the plugin of a folder, now and from now on, with exactly the permissions that were accepted',
      access: 'plugins:write',
      body: z.strictObject({ folder, accepted: z.array(z.string().max(100)).max(50) }),
      returns: pluginShape,
      status: 201,
      handler: async ({ body }) => shown(await plugins.add(body.folder, body.accepted), []),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/plugins/:name/reload',
      summary: 'Set a plugin up anew with the configuration as it is now',
      access: 'plugins:write',
      params: named,
      returns: z.object({ reloaded: z.string() }),
      async handler({ params: { name } }) {
        await plugins.reload(name)
        return { reloaded: name }
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/plugins/:name',
      summary: 'Stop a plugin that was added, and forget it; its tables stay',
      access: 'plugins:write',
      params: named,
      returns: z.object({ removed: z.string() }),
      async handler({ params: { name } }) {
        await plugins.remove(name)
        return { removed: name }
      },
    }),
  ]
}

import { checkDefinition, type FoundPlugin, parseManifest } from '@rivetr/kernel'
import { definePlugin, type Manifest, type PluginDefinition, RivetrError, type z } from '@rivetr/sdk'

/** A plugin as a stranger writes it, without a package on disk. `edge` of its manifest is an absolute path. */
export function testPlugin<Schema extends z.ZodObject>(
  manifest: Partial<Manifest> & { name: string },
  definition: Omit<PluginDefinition<Schema>, 'name'>,
): FoundPlugin {
  const parsed = parseManifest({ api: '^1.0', ...manifest }, 'the test')
  const plugin = definePlugin({ ...definition, name: manifest.name } as PluginDefinition<Schema>)
  return {
    manifest: parsed,
    version: '0.0.0',
    builtIn: false,
    edgeFile: parsed.edge ?? undefined,
    load: async () => checkDefinition({ default: plugin }, parsed),
  }
}

/** A plugin with the manifest of its own package.json: `packagedPlugin(pkg, plugin)` in a project of create-rivetr-plugin. */
export function packagedPlugin<Schema extends z.ZodObject>(
  pkg: { readonly rivetr?: unknown },
  definition: PluginDefinition<Schema>,
): FoundPlugin {
  const manifest = parseManifest(pkg.rivetr, 'package.json')
  if (manifest.name !== definition.name)
    throw new RivetrError(
      'plugin_invalid',
      `package.json names the plugin ${manifest.name}, its code ${definition.name}`,
    )
  return testPlugin(manifest, definition)
}

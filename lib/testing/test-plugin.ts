import { checkDefinition, type FoundPlugin, parseManifest } from '@rivetr/kernel'
import { definePlugin, type Manifest, type PluginDefinition, type z } from '@rivetr/sdk'

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

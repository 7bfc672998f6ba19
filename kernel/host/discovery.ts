import { readdir, readFile, realpath } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import {
  API_VERSION,
  type Manifest,
  manifestSchema,
  messageOf,
  type PluginDefinition,
  RivetrError,
  type z,
} from '@rivetr/sdk'
import { satisfies } from 'semver'
import { freshUrl, shareSdk } from './sdk-resolution.ts'

export type AnyPlugin = PluginDefinition<z.ZodObject>

/** A plugin as found: everything that can be known without running its code, and how to load that. */
export interface FoundPlugin {
  readonly manifest: Manifest
  readonly version: string
  readonly builtIn: boolean
  /** Where its files are, links resolved: by it an error is put down to the plugin. */
  readonly folder?: string
  /** Absolute path of the module that the manifest names as `edge`. */
  readonly edgeFile?: string | undefined
  load(): Promise<AnyPlugin>
}

/** Where Rivetr itself lies; with the separator at its end. */
export const rootFolder = fileURLToPath(new URL('../../', import.meta.url))

const builtInFolder = join(rootFolder, 'plugins')

/** The plugins that come with Rivetr: every folder of `plugins/` whose package.json has the `rivetr` key. */
export async function discoverBuiltIns(): Promise<FoundPlugin[]> {
  const names = (await readdir(builtInFolder)).sort()
  const found = await Promise.all(names.map((name) => discover(join(builtInFolder, name), true)))
  return found.filter((plugin) => plugin !== undefined)
}

/** Every plugin that there is: ours, and those in the folders that the configuration names. */
export async function discoverPlugins(folders: readonly string[]): Promise<FoundPlugin[]> {
  const further = await Promise.all(
    folders.map(async (folder) => {
      try {
        return await discoverOrThrow(folder)
      } catch (error) {
        return brokenPlugin((await nameIn(folder)) ?? folder, error)
      }
    }),
  )
  return withoutTwins([...(await discoverBuiltIns()), ...further])
}

export async function discoverOrThrow(folder: string): Promise<FoundPlugin> {
  const found = await discover(resolve(folder), false)
  if (found !== undefined) return found
  throw new RivetrError(
    'plugin_invalid',
    `there is no plugin in ${folder}: it needs a package.json with the key "rivetr"`,
  )
}

/** Stands in the list with its reason, instead of stopping the start of everyone. */
function brokenPlugin(name: string, error: unknown): FoundPlugin {
  const fault = RivetrError.is(error)
    ? error
    : new RivetrError('plugin_invalid', `the plugin in ${name} cannot be read: ${messageOf(error)}`)
  return {
    manifest: { ...manifestSchema.parse({ name: 'broken', api: '*' }), name },
    version: '0.0.0',
    builtIn: false,
    load: () => Promise.reject(fault),
  }
}

/** The name that it says it has, so that its section of the configuration stays known. */
async function nameIn(folder: string): Promise<string | undefined> {
  try {
    const pkg = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { rivetr: unknown }
    return manifestSchema.pick({ name: true }).loose().parse(pkg.rivetr).name
  } catch {
    return undefined
  }
}

/** A name is one plugin's: the first's, and Rivetr's own come first. */
function withoutTwins(plugins: readonly FoundPlugin[]): FoundPlugin[] {
  const first = new Map<string, FoundPlugin>()
  return plugins.map((plugin) => {
    const { name } = plugin.manifest
    const twin = first.get(name)
    if (twin === undefined) {
      first.set(name, plugin)
      return plugin
    }
    const where = plugin.folder ?? name
    const whose = twin.builtIn ? "of Rivetr's own" : `of ${twin.folder}`
    return brokenPlugin(
      where,
      new RivetrError(
        'plugin_invalid',
        `the plugin in ${where} has the name ${name}, which is the name ${whose}`,
      ),
    )
  })
}

/** Reads one folder; undefined when it is no plugin. Errors: `plugin_invalid` for a manifest with faults. */
export async function discover(folder: string, builtIn: boolean): Promise<FoundPlugin | undefined> {
  const file = join(folder, 'package.json')
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const pkg = JSON.parse(text) as { version?: string; main?: string; exports?: unknown; rivetr?: unknown }
  if (pkg.rivetr === undefined) return undefined
  const manifest = parseManifest(pkg.rivetr, file)
  return {
    manifest,
    version: pkg.version ?? '0.0.0',
    builtIn,
    folder: await realpath(folder),
    edgeFile: manifest.edge === null ? undefined : edgeFileOf(folder, manifest.edge, file),
    load: async () => {
      if (!builtIn) shareSdk()
      const entry = pathToFileURL(join(dirname(file), entryOf(pkg)))
      return checkDefinition(await import(builtIn ? entry.href : freshUrl(entry)), manifest)
    },
  }
}

export function parseManifest(value: unknown, from: string): Manifest {
  const parsed = manifestSchema.safeParse(value)
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `rivetr.${path.join('.')}: ${message}`)
    throw new RivetrError('plugin_invalid', `the manifest in ${from} is wrong: ${faults.join('; ')}`)
  }
  if (!satisfies(API_VERSION, parsed.data.api)) {
    throw new RivetrError(
      'plugin_invalid',
      `plugin ${parsed.data.name} is written for api ${parsed.data.api}, this is ${API_VERSION}`,
    )
  }
  return parsed.data
}

/** The object must be what its manifest says. */
export function checkDefinition(module: { default?: unknown }, manifest: Manifest): AnyPlugin {
  const definition = module.default as Partial<AnyPlugin> | undefined
  if (typeof definition?.setup !== 'function' || definition.name !== manifest.name) {
    throw new RivetrError(
      'plugin_invalid',
      `the default export of plugin ${manifest.name} is not definePlugin({ name: '${manifest.name}', setup })`,
    )
  }
  return definition as AnyPlugin
}

function edgeFileOf(folder: string, edge: string, manifestFile: string): string {
  const root = resolve(folder)
  const path = resolve(root, edge)
  if (path.startsWith(root + sep)) return path
  throw new RivetrError('plugin_invalid', `rivetr.edge in ${manifestFile} leads out of the plugin: ${edge}`)
}

function entryOf(pkg: { main?: string; exports?: unknown }): string {
  const exported = pkg.exports as string | { '.'?: string | { default?: string } } | undefined
  if (typeof exported === 'string') return exported
  const root = exported?.['.']
  return (typeof root === 'string' ? root : root?.default) ?? pkg.main ?? 'index.js'
}

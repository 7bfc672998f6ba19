import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { discoverBuiltIns, type FoundPlugin, Kernel } from '@rivetr/kernel'
import { type Clock, type NamedToken, type PluginContext, RivetrError, type Token } from '@rivetr/sdk'
import { type TestDatabase, testDatabase, testDatabaseOf } from './test-database.ts'
import { testPlugin } from './test-plugin.ts'

export interface TestKernelOptions {
  /** Plugins under test: found ones, or made with `testPlugin`. */
  readonly plugins?: readonly FoundPlugin[]
  /** Names of the plugins that come with Rivetr and shall run, too. */
  readonly builtIns?: readonly string[]
  /** Sections of rivetr.toml, keys in camelCase. */
  readonly config?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly clock?: Clock
  /** A data folder that is kept (for a second boot); default: a temporary one. */
  readonly dataDir?: string
  readonly onStop?: (reason: 'stop' | 'stop-all' | 'lost') => void
}

export interface TestKernel extends AsyncDisposable {
  readonly kernel: Kernel
  readonly dataDir: string
  /** What was logged, parsed. */
  readonly log: readonly Record<string, unknown>[]
  /** A service or provider, as a plugin that declared it would get it. */
  get<T>(token: Token<T>): T
  get<T>(token: NamedToken<T>, name: string): T
  stop(reason?: string): Promise<void>
}

/** A real kernel over a temporary data folder, with just the plugins that a test names. */
export async function createTestKernel(options: TestKernelOptions = {}): Promise<TestKernel> {
  const { plugins = [], builtIns = [], config = {}, clock, onStop } = options
  const dataDir = options.dataDir ?? join(await mkdtemp(join(tmpdir(), 'rivetr-test-')), 'data')
  const own = options.dataDir === undefined
  const database = own ? await testDatabase() : await testDatabaseOf(dataDir)
  const log: Record<string, unknown>[] = []
  const window = Promise.withResolvers<PluginContext<unknown>>()
  const all = [
    ...plugins,
    ...(await named(builtIns)),
    windowPlugin([...plugins, ...(await named(builtIns))], window.resolve),
  ]
  const kernel = await Kernel.start({
    plugins: all,
    // A test asks for it when it means it: fake heads never are what was deployed.
    env: environmentOf({
      ...config,
      kernel: {
        ...{ dataDir, ...addressOf(database), headsIntervalMs: 0, outgoingAllow: ['127.0.0.0/8'] },
        ...config.kernel,
      },
    }),
    logTo: { write: (line) => log.push(JSON.parse(line) as Record<string, unknown>) },
    ...(clock === undefined ? {} : { clock }),
    ...(onStop === undefined ? {} : { onStop }),
  })
  const ctx = await window.promise
  let stopped: Promise<void> | undefined
  const stop = (reason = 'stop-all') => {
    stopped ??= kernel.stop(reason)
    return stopped
  }
  return {
    kernel,
    dataDir,
    log,
    get: ctx.get.bind(ctx),
    stop,
    async [Symbol.asyncDispose]() {
      await stop()
      if (!own) return
      await rm(join(dataDir, '..'), { recursive: true, force: true })
      await database?.[Symbol.asyncDispose]()
    },
  }
}

function addressOf(database: TestDatabase | undefined): { databaseUrl?: string } {
  return database === undefined ? {} : { databaseUrl: database.url }
}

async function named(names: readonly string[]): Promise<FoundPlugin[]> {
  // The published package has none beside it.
  const found = names.length === 0 ? [] : await discoverBuiltIns()
  return names.map((name) => {
    const plugin = found.find(({ manifest }) => manifest.name === name)
    if (plugin === undefined) throw new RivetrError('not_found', `no built-in plugin "${name}"`)
    return plugin
  })
}

const kernelServices = [
  'apps',
  'clock',
  'config',
  'contributions',
  'database',
  'deployments',
  'hooks',
  'lifecycle',
  'logs',
  'plugins',
  'releases',
  'routes',
  'schedules',
  'secrets',
]

/** The plugin through which a test looks at the kernel: it may ask for all that there is. */
function windowPlugin(
  others: readonly FoundPlugin[],
  open: (ctx: PluginContext<unknown>) => void,
): FoundPlugin {
  const provided = others.flatMap(({ manifest }) => manifest.provides)
  return testPlugin(
    { name: 'test-window', optional: [...new Set([...kernelServices, ...provided])] },
    { setup: open },
  )
}

function environmentOf(
  config: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
): NodeJS.ProcessEnv {
  const snake = (key: string) => key.replace(/[A-Z]/g, '_$&').toUpperCase()
  return Object.fromEntries(
    Object.entries(config).flatMap(([section, values]) =>
      Object.entries(values).map(([key, value]) => [
        `RIVETR_${section.replaceAll('-', '_').toUpperCase()}__${snake(key)}`,
        typeof value === 'string' ? value : toml(value),
      ]),
    ),
  )
}

function toml(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(toml).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const fields = Object.entries(value).map(([key, each]) => `${JSON.stringify(key)} = ${toml(each)}`)
  return `{ ${fields.join(', ')} }`
}

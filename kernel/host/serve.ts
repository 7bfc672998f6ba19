import { messageOf } from '@rivetr/sdk'
import { dataDirOf, pluginFoldersOf } from './config.ts'
import { judgeConfig } from './config-check.ts'
import { discoverPlugins, type FoundPlugin } from './discovery.ts'
import { Kernel } from './kernel.ts'
import { PluginLedger } from './plugin-ledger.ts'

export interface ServeOptions {
  readonly configFile?: string | undefined
  readonly safeMode?: boolean
  /** Ctrl-C ends replicas' edges too, as a person in front of it expects. */
  readonly foreground: boolean
}

/** Runs Rivetr until a signal, `rivetr stop` or the loss of its database. Resolves with the exit code of the process. */
export async function serve({ configFile, safeMode = false, foreground }: ServeOptions): Promise<number> {
  const ending = Promise.withResolvers<string>()
  const onSignal = (signal: NodeJS.Signals) =>
    ending.resolve(foreground && signal === 'SIGINT' ? 'stop-all' : signal)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal)
  let kernel: Kernel
  try {
    kernel = await Kernel.start({
      plugins: await pluginsFor(configFile),
      configFile,
      safeMode,
      ownsProcess: true,
      onStop: ending.resolve,
    })
  } catch (error) {
    process.stderr.write(`rivetr: ${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  }
  const reason = await ending.promise
  kernel.log.info(`Rivetr stops (${reason})`)
  await kernel.stop(reason)
  return reason === 'lost' ? 1 : 0
}

async function pluginsFor(configFile: string | undefined): Promise<FoundPlugin[]> {
  const configured = await pluginFoldersOf(configFile, process.env)
  const added = PluginLedger.foldersIn(await dataDirOf(configFile, process.env))
  return discoverPlugins([...configured, ...added])
}

/** What `rivetr config check` says. */
export async function checkConfig({
  configFile,
}: {
  configFile?: string | undefined
} = {}): Promise<{ file: string | undefined; ok: boolean; problems: string[] }> {
  let plugins: FoundPlugin[]
  try {
    plugins = await pluginsFor(configFile)
  } catch (error) {
    return { file: configFile, ok: false, problems: [messageOf(error)] }
  }
  const { raw, problems } = await judgeConfig(configFile, process.env, plugins)
  return { file: raw?.file ?? configFile, ok: problems.length === 0, problems }
}

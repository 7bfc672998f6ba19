import { resolve } from 'node:path'
import { messageOf, RivetrError } from '@rivetr/sdk'
import type { CopyEnd, CopyReport } from '../data/copy.ts'
import type { Tables } from '../data/dialect.ts'
import { kernelConfig, parseSection, pluginFoldersOf, readConfig } from './config.ts'
import { discoverPlugins, type FoundPlugin } from './discovery.ts'

export interface DatabaseCopyOptions {
  readonly configFile?: string | undefined
  /** `sqlite`, `postgresql` (as configured), a data folder, or an address. */
  readonly from: string
  readonly to: string
  readonly leaveOut: readonly string[]
  readonly dryRun: boolean
  onProgress(progress: { readonly table: string; readonly rows: number }): void
}

/** What `rivetr db copy` does. Every plugin that is found counts, also one that is disabled. */
export async function runCopy(options: DatabaseCopyOptions): Promise<CopyReport> {
  const { configFile, from, to, leaveOut, dryRun, onProgress } = options
  const plugins = await discoverPlugins(await pluginFoldersOf(configFile, process.env))
  const sections = ['kernel', ...plugins.map(({ manifest }) => manifest.name)]
  const config = parseSection('kernel', kernelConfig, await readConfig(configFile, process.env, sections))
  const tables = await Promise.all(
    plugins.filter(({ manifest }) => !leaveOut.includes(manifest.name)).map(tablesOf),
  )
  const { copyDatabase } = await import('../data/copy.ts')
  return copyDatabase({
    from: endOf(from, config),
    to: endOf(to, config),
    tables: tables.filter(({ migrations }) => migrations.length > 0),
    leaveOut,
    dryRun,
    onProgress,
  })
}

function endOf(text: string, config: { dataDir: string; databaseUrl?: string | undefined }): CopyEnd {
  if (/^postgres(ql)?:/.test(text)) return { url: text }
  if (text === 'sqlite') return { folder: resolve(config.dataDir) }
  if (text !== 'postgresql') return { folder: resolve(text) }
  if (config.databaseUrl === undefined)
    throw new RivetrError(
      'config_invalid',
      'no database_url is configured; set it below [kernel] or as RIVETR_KERNEL__DATABASE_URL, or write the address instead of "postgresql"',
    )
  return { url: config.databaseUrl }
}

async function tablesOf({ manifest, load }: FoundPlugin): Promise<Tables> {
  try {
    const { entities = [], migrations = [] } = await load()
    return { plugin: manifest.name, entities, migrations }
  } catch (error) {
    throw new RivetrError(
      'plugin_failed',
      `plugin ${manifest.name} cannot be loaded, so its tables are not known: ${messageOf(error)}; mend it, or leave its tables behind with --leave-out ${manifest.name}`,
      { cause: error },
    )
  }
}

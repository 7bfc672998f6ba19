import { messageOf, RivetrError, z } from '@rivetr/sdk'
import { kernelConfig, parseSection, type RawConfig, readConfig } from './config.ts'
import type { AnyPlugin, FoundPlugin } from './discovery.ts'

/** Reads and judges everything that `rivetr config check` judges, and touches nothing. */
export async function judgeConfig(
  configFile: string | undefined,
  env: NodeJS.ProcessEnv,
  plugins: readonly FoundPlugin[],
): Promise<{ raw: RawConfig | undefined; problems: string[] }> {
  const problems: string[] = []
  const note = (error: unknown) => {
    if (!RivetrError.is(error)) throw error
    problems.push(error.message)
  }
  const sections = ['kernel', ...plugins.map(({ manifest }) => manifest.name)]
  const raw = await readConfig(configFile, env, sections).catch((error: unknown) => void note(error))
  if (raw === undefined) return { raw, problems }
  try {
    parseSection('kernel', kernelConfig, raw)
  } catch (error) {
    note(error)
  }
  for (const plugin of plugins) {
    try {
      const { config } = await loaded(plugin)
      if (config !== undefined || raw.sections[plugin.manifest.name] !== undefined)
        parseSection(plugin.manifest.name, config ?? z.strictObject({}), raw)
    } catch (error) {
      note(error)
    }
  }
  return { raw, problems }
}

async function loaded(plugin: FoundPlugin): Promise<AnyPlugin> {
  try {
    return await plugin.load()
  } catch (error) {
    if (RivetrError.is(error)) throw error
    const message = `plugin ${plugin.manifest.name} cannot be loaded: ${messageOf(error)}`
    throw new RivetrError('plugin_failed', message, { cause: error })
  }
}

import { resolve } from 'node:path'
import { checkConfig, serve } from '@rivetr/kernel'
import type { Output } from '../output.ts'

/** The only commands that are the host themselves instead of asking it. */
export async function runServer(options: {
  config?: string
  safeMode?: boolean
  dataDir?: string
}): Promise<number> {
  if (options.dataDir !== undefined) process.env.RIVETR_KERNEL__DATA_DIR = resolve(options.dataDir)
  return serve({ configFile: options.config, safeMode: options.safeMode ?? false, foreground: true })
}

export async function runConfigCheck(output: Output, options: { config?: string }): Promise<number> {
  const { file, ok, problems } = await checkConfig({ configFile: options.config })
  const name = file ?? 'no rivetr.toml: defaults and environment'
  output.result(
    { file, ok, problems },
    ok ? `${name}: fine` : [`${name}:`, ...problems.map((problem) => `  ${problem}`)].join('\n'),
  )
  return ok ? 0 : 1
}

import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parse } from 'smol-toml'
import { UsageError } from './output.ts'

/** Where the kernel of this machine keeps its data, found as the kernel finds it: the environment, rivetr.toml, `./data`. */
export async function dataFolder(env: NodeJS.ProcessEnv): Promise<string> {
  const named = env.RIVETR_DATA_DIR ?? env.RIVETR_KERNEL__DATA_DIR
  return resolve(named ?? (await configured(resolve(env.RIVETR_CONFIG ?? 'rivetr.toml'))) ?? 'data')
}

async function configured(file: string): Promise<string | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    const { kernel } = parse(text) as { kernel?: { data_dir?: unknown } }
    return typeof kernel?.data_dir === 'string' ? kernel.data_dir : undefined
  } catch (error) {
    throw new UsageError(
      `${file} cannot be read (${(error as Error).message}); "rivetr config check" says more`,
    )
  }
}

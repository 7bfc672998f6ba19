import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { RivetrError } from '@rivetr/sdk'
import { spawn } from '@rivetr/sdk/kit'
import type { GitEngine } from './engine.ts'
import type { GitSettings } from './program.ts'

/** The oldest that knows all that it is asked: `fetch` by a commit's id over protocol 2, SHA-256. */
const oldest = [2, 32] as const

interface EngineSettings extends GitSettings {
  readonly caFile?: string | undefined
}

/** Looks for the git program until it is there: it may be installed while Rivetr runs. */
export function chooseEngine(
  engine: 'auto' | 'system' | 'builtin',
  settings: EngineSettings,
): () => Promise<GitEngine> {
  let chosen: { name: 'system' | 'builtin'; engine: Promise<GitEngine> } | undefined
  return async () => {
    const system =
      engine === 'system' ||
      (engine === 'auto' && (chosen?.name === 'system' || (await hasProgram(settings.home))))
    const name = system ? 'system' : 'builtin'
    if (chosen?.name === name) return chosen.engine
    const made = { name, engine: system ? systemEngine(settings) : builtinEngine(settings) } as const
    chosen = made
    // What is in its way (a file that cannot be read) may be gone the next time.
    made.engine.catch(() => {
      if (chosen === made) chosen = undefined
    })
    return made.engine
  }
}

async function systemEngine({ caFile, ...settings }: EngineSettings): Promise<GitEngine> {
  const { SystemEngine } = await import('./system-engine.ts')
  if (caFile === undefined) return new SystemEngine(settings)
  // What git is given stands instead of the usual authorities: so they go in, too.
  const authorities = join(settings.home, 'authorities.pem')
  await writeFile(authorities, [...rootCertificates, await readAuthorities(caFile)].join('\n'))
  return new SystemEngine({ ...settings, authorities })
}

async function builtinEngine({ caFile, ...limits }: EngineSettings): Promise<GitEngine> {
  const [{ BuiltinEngine }, ca] = await Promise.all([
    import('./builtin-engine.ts'),
    caFile === undefined ? undefined : readAuthorities(caFile),
  ])
  return new BuiltinEngine({ ...limits, ca })
}

export async function readAuthorities(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new RivetrError('source_failed', `[git] ca_file: cannot read ${file}`, {
      details: { fault: 'address' },
      cause: error,
    })
  }
}

async function hasProgram(cwd: string): Promise<boolean> {
  try {
    const { stdout } = await spawn('git', ['--version'], {
      cwd,
      env: { PATH: process.env.PATH ?? '' },
      signal: AbortSignal.timeout(10_000),
    })
    const [, major = 0, minor = 0] = /^git version (\d+)\.(\d+)/.exec(stdout)?.map(Number) ?? []
    return major > oldest[0] || (major === oldest[0] && minor >= oldest[1])
  } catch {
    return false
  }
}

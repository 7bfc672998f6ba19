import { readFile } from 'node:fs/promises'
import ignore from '@balena/dockerignore'
import { RivetrError } from '@rivetr/sdk'
import { confine } from '@rivetr/sdk/kit'

export interface IgnoreRules {
  /** Whether this path, relative and with `/`, is left out of the context. */
  leavesOut(path: string): boolean
  /** Whether a folder that is left out may still hold something that an exception (`!…`) brings back. */
  maySpareWithin(folder: string): boolean
}

/** The rules of `<dockerfile>.dockerignore`, or else of `.dockerignore`, or none. */
export async function ignoreRules(folder: string, dockerfile: string): Promise<IgnoreRules> {
  const text =
    (await findText(folder, `${dockerfile}.dockerignore`)) ?? (await findText(folder, '.dockerignore')) ?? ''
  const patterns = text.replace(/^\ufeff/, '').split(/\r?\n/)
  const matcher = factory({ ignorecase: false }).add(patterns)
  const exceptions = patterns
    .map((pattern) => pattern.trim())
    .filter((pattern) => pattern.startsWith('!'))
    .map((pattern) => `${pattern.slice(1).replace(/^\.?\/+/, '')}/`)
  return {
    leavesOut: (path) => matcher.ignores(path),
    // As Docker itself decides: by the pattern's letters (moby, pkg/archive, TarWithOptions).
    maySpareWithin: (path) => exceptions.some((exception) => exception.startsWith(`${path}/`)),
  }
}

/** The package is CommonJS, and its types say otherwise. */
const factory = ((ignore as unknown as { default?: typeof ignore }).default ??
  ignore) as unknown as (options: { ignorecase: boolean }) => {
  add(patterns: string[]): { ignores(path: string): boolean }
}

async function findText(folder: string, name: string): Promise<string | undefined> {
  try {
    return await readFile(await confine(folder, name), 'utf8')
  } catch (error) {
    if (RivetrError.is(error, 'not_found')) return undefined
    throw error
  }
}

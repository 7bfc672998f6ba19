import { parseAddress } from './address.ts'
import type { Place } from './engine.ts'
import { sourceFault } from './fault.ts'
import { readGitConfig } from './git-config.ts'

/** What `.gitmodules` says of a submodule. */
export interface Declaration {
  readonly url?: string | undefined
  readonly branch?: string | undefined
  /** Of git's ways to update only `none` means something here: nothing is merged, and no command of a repository is run. */
  readonly update?: string | undefined
}

/** By path. Errors: `source_failed`, fault `content`, for names and paths that git refuses, too (CVE-2018-11235, CVE-2018-17456). */
export function readDeclarations(text: string): Map<string, Declaration> {
  const byName = new Map<string, Record<string, string>>()
  for (const { section, subsection, key, value } of readGitConfig(text)) {
    if (section !== 'submodule' || subsection === undefined) continue
    if (subsection === '' || hasDots(subsection))
      throw hostile(`the name ${JSON.stringify(subsection)}, which leads out of its repository`)
    byName.set(subsection, { ...byName.get(subsection), [key]: value })
  }
  return new Map(
    [...byName].map(([name, { path = name, url, branch, update }]) => {
      if (path.startsWith('-') || path.startsWith('/') || hasDots(path))
        throw hostile(`the path ${JSON.stringify(path)}, which is none inside the repository`)
      return [path.replace(/\/$/, ''), { url, branch, update }]
    }),
  )
}

/**
 * Where a submodule is. Its address may be relative to that of its repository; of file:// only where the repository is there, too.
 * What was given for the app's own host (credentials, a key) is for that host alone.
 */
export function submodulePlace(url: string, parent: Place, root: Place): Omit<Place, 'access'> {
  const whole = /^\.\.?\//.test(url) ? relativeTo(parent.url, url) : url
  const address = parseAddress(whole, parent.url.startsWith('file:'))
  const own = address.ssh === undefined && new URL(address.url).origin === originOf(root)
  return { ...address, credentials: address.credentials ?? (own ? root.credentials : undefined) }
}

function originOf({ url, ssh }: Place): string | undefined {
  return ssh === undefined ? new URL(url).origin : undefined
}

/** As git does it: each `../` takes away what stands behind the last slash, or behind the colon of scp's form. */
function relativeTo(base: string, url: string): string {
  const [, host = '', sign = '', path = ''] =
    /^([a-z+]+:\/\/[^/]*)(\/)(.*)$/i.exec(base) ?? /^([^@]*@(?:\[[^\]]*\]|[^:]*))(:)(.*)$/.exec(base) ?? []
  const segments = path.replace(/\/+$/, '').split('/')
  let rest = url
  for (let step = stepOf(rest); step !== undefined; step = stepOf(rest)) {
    if (step === '../' && !segments.pop())
      throw sourceFault('address', `${JSON.stringify(url)} leads above the host of ${base}`)
    rest = rest.slice(step.length)
  }
  return `${host}${sign}${[...segments, rest].join('/')}`
}

function stepOf(url: string): string | undefined {
  return /^\.\.?\//.exec(url)?.[0]
}

function hasDots(path: string): boolean {
  return path.split(/[/\\]/).includes('..')
}

function hostile(what: string): Error {
  return sourceFault(
    'content',
    `.gitmodules gives a submodule ${what}: nothing of it is fetched; take it out`,
  )
}

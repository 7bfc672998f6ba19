import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What can be written. Each is a folder of `templates/`, which is a plugin itself: named `my-plugin`, checked and tested here. */
export const kinds = {
  hook: 'takes part in the life of deployments: refuses, waits, tells',
  notifier: 'brings messages to people',
  source: 'brings code from somewhere else than a git repository',
  builder: 'makes something that runs out of code',
  'webhook-provider': 'understands the webhooks of a git host',
  'dns-solver': 'proves to a certificate authority that a domain is yours',
  page: 'adds routes to the API and a page with a table to the dashboard',
} as const

/** Something that was asked for cannot be: says what and why. */
export class ProjectError extends Error {}

export interface ProjectTerms {
  /** Of the plugin. */
  readonly name: string
  readonly kind: string
  readonly folder: string
}

const templates = join(import.meta.dirname, 'templates')

/** Writes a project, whole or not at all; returns its folder. Errors: `ProjectError`. */
export async function writeProject({ name, kind, folder }: ProjectTerms): Promise<string> {
  if (!/^[a-z][a-z0-9-]{0,40}$/.test(name) || ['kernel', 'core'].includes(name))
    throw new ProjectError(
      `${JSON.stringify(name)} cannot be the name of a plugin: up to 41 lower-case letters, digits and hyphens, a letter first; not kernel or core`,
    )
  if (!Object.hasOwn(kinds, kind))
    throw new ProjectError(
      `there is no kind ${JSON.stringify(kind)}; there are ${Object.keys(kinds).join(', ')}`,
    )
  const there = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw new ProjectError(`${folder} cannot be written to: ${error.message}`)
  })
  if (there.length > 0) throw new ProjectError(`${folder} is not empty; name another with --folder`)
  const unfinished = `${folder}.unfinished`
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { recursive: true })
  await fill(unfinished, kind)
  await replaceName(unfinished, name)
  await rm(folder, { recursive: true, force: true })
  await rename(unfinished, folder)
  return folder
}

async function fill(folder: string, kind: string): Promise<void> {
  const base = join(templates, 'base')
  // An underscore keeps npm and the tools of this repository from taking them for their own.
  for (const file of await readdir(base)) await cp(join(base, file), join(folder, file.replace(/^_/, '')))
  const common = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as object
  await cp(join(templates, kind), folder, { recursive: true })
  const own = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as object
  await writeFile(join(folder, 'package.json'), `${JSON.stringify({ ...own, ...common }, null, 2)}\n`)
}

async function replaceName(folder: string, name: string): Promise<void> {
  for (const file of await readdir(folder)) {
    const path = join(folder, file)
    const text = await readFile(path, 'utf8')
    const named = text
      .replaceAll('my-plugin', name)
      .replaceAll('my_plugin', name.replaceAll('-', '_'))
      .replaceAll('MyPlugin', pascalCase(name))
    await writeFile(path, named)
  }
}

function pascalCase(name: string): string {
  return name.replace(/(?:^|-+)([a-z0-9]?)/g, (_, letter: string) => letter.toUpperCase())
}

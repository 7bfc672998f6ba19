import { resolve } from 'node:path'
import { UsageError } from '../output.ts'
import type { Session } from '../session.ts'

/** Without an answer of a person it asks for none: what a plugin may do is said, and how to accept it. */
export async function addPlugin(
  { client, output }: Session,
  folder: string,
  { yes = false, accept }: { yes?: boolean; accept?: string[] },
): Promise<void> {
  const path = resolve(folder)
  const { name, version, permissions } = await client.plugins.inspect(path)
  if (!yes && accept === undefined && permissions.length > 0)
    throw new UsageError(
      `plugin ${name} ${version} wants ${permissions.join(', ')}: --accept ${permissions.join(' ')} (or --yes) agrees to that`,
    )
  const added = await client.plugins.add(path, accept ?? permissions)
  output.result(added, `plugin ${name} ${version} runs`)
}

export async function showPlugin({ client, output }: Session, name: string): Promise<void> {
  const info = await client.plugins.get(name)
  const lines = [
    `${info.name} ${info.version}: ${info.state}`,
    ...(info.error === undefined ? [] : [`failed in ${info.error.phase}: ${info.error.message}`]),
    `requires ${info.requires.join(' ') || '-'}, provides ${info.provides.join(' ') || '-'}`,
    `permissions ${info.permissions.join(' ') || '-'}`,
    ...Object.entries(info.phases).map(([phase, ms]) => `${phase} ${ms} ms`),
    ...info.taps.map(({ hook, calls, errors, muted }) => {
      return `tap ${hook}: ${calls} calls, ${errors} errors${muted ? ', muted' : ''}`
    }),
  ]
  output.result(info, lines.join('\n'))
}

export async function reloadPlugin({ client, output }: Session, name: string): Promise<void> {
  await client.plugins.reload(name)
  output.result({ reloaded: name }, `plugin ${name} was set up anew`)
}

export async function removePlugin({ client, output }: Session, name: string): Promise<void> {
  await client.plugins.remove(name)
  output.result({ removed: name }, `plugin ${name} is gone; its tables stay`)
}

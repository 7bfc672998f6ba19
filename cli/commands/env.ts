import { readFile } from 'node:fs/promises'
import { parseEnv } from 'node:util'
import type { EnvEntry } from '@rivetr/sdk'
import { readAll } from '../input.ts'
import { table, UsageError } from '../output.ts'
import type { Session } from '../session.ts'

export async function listEnv({ client, output }: Session, app: string): Promise<void> {
  const { items } = await client.apps.env(app)
  output.result({ items }, textOf(app, items))
}

/** Each is `NAME=value`; `NAME=-` takes the value from standard input, where no list of processes shows it. */
export async function setEnv(
  { client, output, stdin }: Session,
  app: string,
  pairs: readonly string[],
  { secret = false, revokeEarlier }: { secret?: boolean; revokeEarlier?: boolean },
): Promise<void> {
  const set: Record<string, { value: string; secret: boolean }> = {}
  for (const pair of pairs) {
    const border = pair.indexOf('=')
    if (border < 1) throw new UsageError(`${JSON.stringify(pair)} is no NAME=value`)
    const value = pair.slice(border + 1)
    set[pair.slice(0, border)] = { value: value === '-' ? await readAll(stdin) : value, secret }
  }
  const { items } = await client.apps.changeEnv(app, { set, ...(revokeEarlier && { revokeEarlier }) })
  output.result({ items }, `${textOf(app, items)}\n\nthe next deployment of ${app} brings this`)
}

/** What a .env file would set, beside what there is; with `--yes` it is set, and names that the file has not stay. */
export async function importEnv(
  { client, output }: Session,
  app: string,
  file: string,
  { secret = false, yes = false }: { secret?: boolean; yes?: boolean },
): Promise<void> {
  const values = readEnvFile(file, await readFile(file))
  const there = new Map((await client.apps.env(app)).items.map((entry) => [entry.name, entry]))
  const changes = Object.entries(values).map(([name, value]) => ({
    name,
    ...(secret ? {} : { value }),
    is: changeOf(there.get(name), value, secret),
  }))
  if (!yes) {
    const rows = changes.map(({ name, value, is }) => [name, is, secret ? '(secret)' : JSON.stringify(value)])
    output.result({ changes }, table(['NAME', 'IS', 'VALUE'], rows))
    if (!output.json) output.hint('nothing is set yet; add --yes to set these')
    return
  }
  const set = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value, secret }]))
  const { items } = await client.apps.changeEnv(app, { set })
  output.result({ items }, `${textOf(app, items)}\n\nthe next deployment of ${app} brings this`)
}

function changeOf(before: EnvEntry | undefined, value: string, secret: boolean): string {
  if (before === undefined) return 'new'
  return !secret && !before.secret && before.value === value ? 'the same' : 'changed'
}

/** By the grammar of Node's own `--env-file` (https://nodejs.org/api/environment_variables.html#dotenv). */
function readEnvFile(file: string, bytes: Uint8Array): Record<string, string> {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes) // which takes a byte order mark off
  } catch {
    throw new UsageError(`${file} is not in UTF-8`)
  }
  const values = parseEnv(text.replaceAll('\r\n', '\n')) as Record<string, string>
  if (Object.keys(values).length === 0) throw new UsageError(`${file} sets no variable`)
  return values
}

export async function unsetEnv(
  { client, output }: Session,
  app: string,
  names: readonly string[],
): Promise<void> {
  const { items } = await client.apps.changeEnv(app, { unset: [...names] })
  output.result({ items }, textOf(app, items))
}

function textOf(app: string, items: readonly EnvEntry[]): string {
  if (items.length === 0) return `${app} has no variables`
  return table(
    ['NAME', 'VALUE', 'CHANGED'],
    items.map(({ name, value, updatedAt }) => [name, value ?? '(secret)', updatedAt]),
  )
}

import type { EnvEntry } from '@rivetr/sdk'
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
  { secret = false }: { secret?: boolean },
): Promise<void> {
  const set: Record<string, { value: string; secret: boolean }> = {}
  for (const pair of pairs) {
    const border = pair.indexOf('=')
    if (border < 1) throw new UsageError(`${JSON.stringify(pair)} is no NAME=value`)
    const value = pair.slice(border + 1)
    set[pair.slice(0, border)] = { value: value === '-' ? await readAll(stdin) : value, secret }
  }
  const { items } = await client.apps.changeEnv(app, { set })
  output.result({ items }, `${textOf(app, items)}\n\nthe next deployment of ${app} brings this`)
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

/** Without the line end that an editor or `echo` puts last. */
async function readAll(stdin: AsyncIterable<Uint8Array | string>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stdin) chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk)
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
}

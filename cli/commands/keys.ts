import { table } from '../output.ts'
import type { Session } from '../session.ts'

export async function listKeys({ client, output }: Session): Promise<void> {
  const { items } = await client.keys.list()
  const rows = items.map(({ id, name, prefix, scopes, expiresAt }) => [
    id,
    name,
    `${prefix}…`,
    scopes.join(' '),
    expiresAt ?? 'never',
  ])
  output.result(
    { items },
    items.length === 0 ? 'no API keys' : table(['ID', 'NAME', 'KEY', 'SCOPES', 'EXPIRES'], rows),
  )
}

export async function createKey(
  { client, output }: Session,
  name: string,
  options: { scope: string[]; expires?: string },
): Promise<void> {
  const key = await client.keys.create({ name, scopes: options.scope, expiresAt: options.expires })
  output.result(key, key.key)
  if (!output.json) output.hint('this is the only time that the key is shown; use it as RIVETR_API_KEY')
}

export async function deleteKey({ client, output }: Session, id: string): Promise<void> {
  await client.keys.remove(id)
  output.result({ deleted: id }, `deleted key ${id}`)
}

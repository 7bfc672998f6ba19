import { readFile } from 'node:fs/promises'
import type { KnownHost } from '@rivetr/sdk/client'
import { table, UsageError } from '../output.ts'
import type { Session } from '../session.ts'

export async function listDeployKeys({ client, output }: Session): Promise<void> {
  const { items } = await client.deployKeys.list()
  const rows = items.map(({ name, fingerprint, createdAt }) => [name, fingerprint, createdAt])
  output.result(
    { items },
    items.length === 0 ? 'no deploy keys' : table(['NAME', 'FINGERPRINT', 'CREATED'], rows),
  )
}

export async function createDeployKey(
  { client, output }: Session,
  name: string,
  options: { privateKey?: string },
): Promise<void> {
  const privateKey = options.privateKey === undefined ? undefined : await readFile(options.privateKey, 'utf8')
  const key = await client.deployKeys.create({ name, privateKey })
  output.result(key, key.publicKey)
  if (!output.json)
    output.hint(
      `give this line to the git host, to read the repository, and name the key: --deploy-key ${name}`,
    )
}

export async function showDeployKey({ client, output }: Session, name: string): Promise<void> {
  const key = await client.deployKeys.get(name)
  output.result(key, key.publicKey)
}

export async function deleteDeployKey({ client, output }: Session, name: string): Promise<void> {
  await client.deployKeys.remove(name)
  output.result({ deleted: name }, `deleted the deploy key ${name}; take it from the git host, too`)
}

export async function listKnownHosts({ client, output }: Session): Promise<void> {
  const { items } = await client.knownHosts.list()
  output.result({ items }, hostTable(items))
}

export async function trustHost(
  { client, output }: Session,
  host: string,
  options: { port?: string; fingerprint?: string; key?: string },
): Promise<void> {
  const { fingerprint, key } = options
  const port = options.port === undefined ? undefined : Number(options.port)
  if (key !== undefined) {
    if (fingerprint !== undefined) throw new UsageError('--key and --fingerprint exclude each other')
    const pinned = await client.knownHosts.add({ host, port, key })
    return output.result({ pinned: [pinned] }, `pinned ${pinned.fingerprint} for ${host}`)
  }
  const { items } = await client.knownHosts.scan({ host, port })
  if (fingerprint === undefined) {
    output.result({ shown: items }, hostTable(items))
    if (!output.json)
      output.hint(
        'nothing is pinned yet: compare with what the host publishes, then add --fingerprint SHA256:…',
      )
    return
  }
  const wanted = items.find((each) => each.fingerprint === fingerprint)
  if (wanted === undefined)
    throw new UsageError(
      `${host} shows no key with that fingerprint, but ${items.map((each) => each.fingerprint).join(', ')}`,
    )
  const pinned = await client.knownHosts.add({ host, port, key: wanted.key })
  output.result({ pinned: [pinned] }, `pinned ${pinned.fingerprint} for ${host}`)
}

export async function deleteKnownHost({ client, output }: Session, id: string): Promise<void> {
  await client.knownHosts.remove(id)
  output.result({ deleted: id }, `forgot the host key ${id}`)
}

function hostTable(items: readonly KnownHost[]): string {
  const rows = items.map(({ id, host, port, key, fingerprint }) => [
    id ?? '-',
    port === 22 ? host : `${host}:${port}`,
    key.split(' ', 1)[0] ?? '',
    fingerprint,
  ])
  return table(['ID', 'HOST', 'KIND', 'FINGERPRINT'], rows)
}

import { readAll } from '../input.ts'
import { table } from '../output.ts'
import type { Session } from '../session.ts'

export async function listRegistries({ client, output }: Session): Promise<void> {
  const { items } = await client.registries.list()
  const rows = items.map(({ registry, username, createdAt }) => [registry, username, createdAt])
  output.result(
    { items },
    items.length === 0 ? 'no credentials for registries' : table(['REGISTRY', 'USER', 'SINCE'], rows),
  )
}

export async function login(
  { client, output, stdin }: Session,
  registry: string,
  { username }: { username: string },
): Promise<void> {
  const kept = await client.registries.login({ registry, username, password: await readAll(stdin) })
  output.result(kept, `images of ${kept.registry} are read as ${username} from now on`)
}

export async function logout({ client, output }: Session, registry: string): Promise<void> {
  await client.registries.remove(registry)
  output.result({ removed: registry }, `forgot the credentials of ${registry}`)
}

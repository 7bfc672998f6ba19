import type { CommitStatusConnection } from '@rivetr/sdk/client'
import { readAll } from '../input.ts'
import { table, UsageError } from '../output.ts'
import type { Session } from '../session.ts'

export async function showCommitStatus(
  { client, output }: Session,
  app: string,
  { lines }: { lines: string },
): Promise<void> {
  const page = await client.apps.commitStatus(app, { limit: Number(lines) })
  const { items, connection } = page
  const head =
    connection === undefined
      ? `no git host is told of ${app}; "rivetr commit-status set ${app}" begins`
      : `${connection.kind} at ${connection.apiUrl} is told since ${connection.since}`
  const rows = items.map((one) => [
    one.commit.slice(0, 10),
    one.wanted,
    one.sent ?? '',
    one.state,
    one.deployment,
    one.retryAt === undefined ? (one.fault ?? '') : `${one.fault}; next try ${one.retryAt}`,
  ])
  const columns = ['COMMIT', 'WANTED', 'TOLD', 'STATE', 'DEPLOYMENT', 'WHAT IS WRONG']
  output.result(page, rows.length === 0 ? head : `${head}\n${table(columns, rows)}`)
}

export async function setCommitStatus(
  { client, output, stdin }: Session,
  app: string,
  { kind, apiUrl }: { kind?: CommitStatusConnection['kind']; apiUrl?: string },
): Promise<void> {
  const token = await readAll(stdin)
  if (token === '') throw new UsageError('the token comes from standard input: write "< token" behind it')
  const connection = await client.apps.setCommitStatus(app, { token, kind, apiUrl })
  output.result(connection, `${connection.kind} at ${connection.apiUrl} is told of ${app} from now on`)
}

export async function removeCommitStatus({ client, output }: Session, app: string): Promise<void> {
  await client.apps.removeCommitStatus(app)
  output.result({ removed: app }, `no git host is told of ${app} any more; the token is gone`)
}

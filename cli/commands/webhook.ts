import type { WebhookDeliveries } from '@rivetr/sdk/client'
import { everyPage } from '@rivetr/sdk/client'
import { table } from '../output.ts'
import type { Session } from '../session.ts'

/** Shows where an app's git host delivers, and makes the secret where there is none or a new one is wanted. */
export async function showWebhook(
  { client, output }: Session,
  app: string,
  { replace = false }: { replace?: boolean },
): Promise<void> {
  const { configured, paths } = await client.apps.webhook(app)
  if (configured && !replace) {
    output.result(
      { configured, paths },
      `${textOf(paths)}\nsecret   set, and never shown again; --replace makes a new one`,
    )
    return
  }
  const { secret } = await client.apps.setWebhook(app)
  output.result({ configured: true, paths, secret }, `${textOf(paths)}\nsecret   ${secret}`)
  output.hint('enter this at the git host now: the secret is shown this once')
}

/** What git hosts sent, to one app or to all, and what each delivery did. */
export async function listDeliveries(
  { client, output }: Session,
  app: string | undefined,
  { lines }: { lines: string },
): Promise<void> {
  const query = { limit: Number(lines) }
  const page = await (app === undefined ? client.deliveries.list(query) : client.apps.deliveries(app, query))
  const names = app === undefined ? await appNames(client) : new Map<string, string>()
  const rows = page.items.map((one) => [
    one.receivedAt,
    ...(app === undefined ? [names.get(one.app) ?? one.app] : []),
    one.provider,
    one.event ?? '',
    one.ref ?? '',
    one.commit?.slice(0, 10) ?? '',
    one.outcome,
    one.deployment ?? one.reason ?? '',
  ])
  const head = ['RECEIVED', ...(app === undefined ? ['APP'] : []), 'FROM', 'EVENT', 'REF', 'COMMIT']
  const text = rows.length === 0 ? 'no deliveries yet' : table([...head, 'OUTCOME', 'WHAT IT DID'], rows)
  output.result(page, [text, ...rejectedText(page)].join('\n'))
}

function rejectedText({ rejected: { count, lastReason, lastAt } }: WebhookDeliveries): string[] {
  if (count === 0) return []
  return [`rejected since Rivetr started: ${count}; the last at ${lastAt}: ${lastReason}`]
}

async function appNames(client: Session['client']): Promise<Map<string, string>> {
  const apps = await everyPage((query) => client.apps.list(query))
  return new Map(apps.map(({ id, name }) => [id, name]))
}

function textOf(paths: Readonly<Record<string, string>>): string {
  return Object.entries(paths)
    .map(([kind, path]) => `${kind.padEnd(9)}${path} (content type application/json)`)
    .join('\n')
}

import type { Session } from '../session.ts'

/** Where git hosts deliver, by kind: `{ github: '/webhooks/github' }`. */
type Paths = Record<string, string>

/** Shows where an app's git host delivers, and makes the secret where there is none or a new one is wanted. */
export async function showWebhook(
  { client, output }: Session,
  app: string,
  { replace = false }: { replace?: boolean },
): Promise<void> {
  const path = `/api/apps/${encodeURIComponent(app)}/webhook`
  const { configured, paths } = await client.call<{ configured: boolean; paths: Paths }>('GET', path)
  if (configured && !replace) {
    output.result(
      { configured, paths },
      `${textOf(paths)}\nsecret   set, and never shown again; --replace makes a new one`,
    )
    return
  }
  const { secret } = await client.call<{ secret: string }>('PUT', path, {})
  output.result({ configured: true, paths, secret }, `${textOf(paths)}\nsecret   ${secret}`)
  output.hint('enter this at the git host now: the secret is shown this once')
}

function textOf(paths: Paths): string {
  return Object.entries(paths)
    .map(([kind, path]) => `${kind.padEnd(9)}${path} (content type application/json)`)
    .join('\n')
}

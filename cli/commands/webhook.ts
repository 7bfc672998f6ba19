import type { Session } from '../session.ts'

/** Makes a new secret, which replaces an earlier one, and shows what to enter at the git host. */
export async function makeWebhook({ client, output }: Session, app: string): Promise<void> {
  const webhook = await client.call<Record<string, unknown>>(
    'PUT',
    `/api/apps/${encodeURIComponent(app)}/webhook`,
    {},
  )
  output.result(
    webhook,
    Object.entries(webhook)
      .map(([name, value]) => `${name.padEnd(9)}${value}`)
      .join('\n'),
  )
}

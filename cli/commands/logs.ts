import type { LogLine } from '@rivetr/sdk'
import type { Session } from '../session.ts'

export interface LogsOptions {
  follow?: boolean
  lines: string
  replica?: string
}

export async function showLogs(
  { client, output }: Session,
  app: string,
  { follow, lines, replica }: LogsOptions,
): Promise<void> {
  const query = { tail: Number(lines), replica }
  if (!follow) {
    const { items } = await client.apps.logs(app, query)
    output.result({ items }, items.map(textOf).join('\n'))
    return
  }
  for await (const line of client.apps.followLogs(app, query)) output.item(line, textOf(line))
}

function textOf({ at, from, text }: LogLine): string {
  return `${at} ${from === undefined ? '' : `${from} `}${text}`
}

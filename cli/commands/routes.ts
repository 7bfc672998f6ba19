import type { RouteSettings } from '@rivetr/sdk'
import { table } from '../output.ts'
import type { Session } from '../session.ts'

export async function listRoutes({ client, output }: Session, app: string): Promise<void> {
  const { items } = await client.apps.routes(app)
  output.result({ items }, textOf(app, items))
}

export async function setRoutes(
  { client, output }: Session,
  app: string,
  routes: readonly string[],
): Promise<void> {
  const { items } = await client.apps.replaceRoutes(app, routes.map(routeOf))
  output.result({ items }, textOf(app, items))
}

/** `shop.example.com/api` as a route. */
export function routeOf(text: string): { host: string; path: string } {
  const border = text.indexOf('/')
  return border < 0 ? { host: text, path: '/' } : { host: text.slice(0, border), path: text.slice(border) }
}

function textOf(app: string, items: readonly RouteSettings[]): string {
  return items.length === 0
    ? `${app} has no routes`
    : table(
        ['HOST', 'PATH'],
        items.map(({ host, path }) => [host, path]),
      )
}

import type { RouteSettings } from '@rivetr/sdk'
import { readAll } from '../input.ts'
import { table, UsageError } from '../output.ts'
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

interface AddOptions {
  both?: boolean
  stripPath?: boolean
  redirect?: string
  maxBody?: string
  basicAuth?: string
}

export async function addRoute(
  { client, output, stdin }: Session,
  app: string,
  text: string,
  options: AddOptions,
): Promise<void> {
  const route = routeOf(text)
  const { both, stripPath, redirect, maxBody, basicAuth } = options
  const added = {
    ...route,
    ...(both && { https: 'both' as const }),
    ...(stripPath && { stripPath }),
    ...(redirect && { redirect: { to: redirect } }),
    ...(maxBody && { maxBodyBytes: Number(maxBody) }),
    ...(basicAuth && { basicAuth: { users: [{ name: basicAuth, password: await readAll(stdin) }] } }),
  }
  const others = (await client.apps.routes(app)).items.filter((other) => !isSame(other, route))
  const { items } = await client.apps.replaceRoutes(app, [...others, added])
  output.result({ items }, textOf(app, items))
}

export async function removeRoute({ client, output }: Session, app: string, text: string): Promise<void> {
  const route = routeOf(text)
  const before = (await client.apps.routes(app)).items
  const rest = before.filter((other) => !isSame(other, route))
  if (rest.length === before.length)
    throw new UsageError(
      `${app} has no route ${route.host}${route.path}; "rivetr routes list ${app}" shows all`,
    )
  const { items } = await client.apps.replaceRoutes(app, rest)
  output.result({ items }, textOf(app, items))
}

/** `shop.example.com/api` as a route. */
export function routeOf(text: string): { host: string; path: string } {
  const border = text.indexOf('/')
  return border < 0 ? { host: text, path: '/' } : { host: text.slice(0, border), path: text.slice(border) }
}

function isSame(a: RouteSettings, b: { host: string; path: string }): boolean {
  return a.host === b.host.toLowerCase().replace(/\.$/, '') && a.path === b.path
}

function textOf(app: string, items: readonly RouteSettings[]): string {
  return items.length === 0
    ? `${app} has no routes`
    : table(
        ['HOST', 'PATH', 'DOES'],
        items.map((route) => [route.host, route.path, doesOf(route)]),
      )
}

function doesOf({ https, stripPath, redirect, maxBodyBytes, basicAuth }: RouteSettings): string {
  return [
    redirect === undefined ? '' : `redirects to ${redirect.to}`,
    https === 'both' ? 'plain HTTP too' : '',
    stripPath ? 'strips the path' : '',
    maxBodyBytes === undefined ? '' : `bodies up to ${maxBodyBytes} bytes`,
    basicAuth === undefined ? '' : `asks for ${basicAuth.users.map(({ name }) => name).join(', ')}`,
  ]
    .filter((each) => each !== '')
    .join('; ')
}

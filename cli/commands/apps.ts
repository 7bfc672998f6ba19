import type { App } from '@rivetr/sdk'
import { table, UsageError } from '../output.ts'
import { everyPage } from '../pages.ts'
import type { Session } from '../session.ts'
import { routeOf } from './routes.ts'

export interface CreateOptions {
  source: string
  branch?: string
  directory?: string
  runtime?: string
  builder?: string
  dockerfile?: string
  port?: string
  route?: string[]
  healthPath?: string
}

export async function listApps({ client, output }: Session): Promise<void> {
  const items = await everyPage((query) => client.apps.list(query))
  const rows = items.map((app) => [app.name, app.runtime, liveOf(app), routesOf(app)])
  output.result(
    { items },
    items.length === 0
      ? 'no apps yet; "rivetr apps create --help" shows how'
      : table(['APP', 'RUNTIME', 'LIVE', 'ROUTES'], rows),
  )
}

export async function showApp({ client, output }: Session, name: string): Promise<void> {
  const app = await client.apps.get(name)
  output.result(app, describe(app))
}

export async function createApp(
  { client, output }: Session,
  name: string,
  options: CreateOptions,
): Promise<void> {
  const { source, branch, directory, runtime, builder, dockerfile, port, route, healthPath } = options
  const app = await client.apps.create({
    name,
    source: { url: source, ...(branch && { branch }), ...(directory && { directory }) },
    ...(runtime && { runtime }),
    ...((builder || dockerfile) && {
      builder: { ...(builder && { kind: builder }), ...(dockerfile && { dockerfile }) },
    }),
    ...(port && { port: Number(port) }),
    ...(route && { routes: route.map(routeOf) }),
    ...(healthPath && { health: { kind: 'http', path: healthPath } }),
  })
  output.result(app, `${describe(app)}\n\ncreated; "rivetr deploy ${app.name}" deploys it`)
}

export async function deleteApp(
  { client, output }: Session,
  name: string,
  { yes }: { yes?: boolean },
): Promise<void> {
  if (!yes) throw new UsageError(`this stops ${name} and removes everything made for it; add --yes to do so`)
  await client.apps.remove(name)
  output.result({ deleted: name }, `deleted ${name}`)
}

function describe(app: App): string {
  const { source } = app
  const rows = [
    ['app', `${app.name} (${app.id})`],
    [
      'source',
      `${source.kind} ${source.url}, branch ${source.branch}${source.directory ? `, folder ${source.directory}` : ''}`,
    ],
    ['runtime', app.runtime],
    ['live', liveOf(app)],
    ['routes', routesOf(app)],
    ['changed', app.updatedAt],
  ]
  return rows.map(([name = '', value]) => `${name.padEnd(9)}${value}`).join('\n')
}

function liveOf({ live, restartNeeded }: App): string {
  if (live === undefined) return 'not yet'
  const commit = live.commit === undefined ? '' : ` (${live.commit.slice(0, 10)})`
  return `v${live.release}${commit}${restartNeeded ? ', env changed since' : ''}`
}

function routesOf({ routes }: App): string {
  return routes.map(({ host, path }) => (path === '/' ? host : host + path)).join(', ') || 'none'
}

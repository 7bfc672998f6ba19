import type { App, AppInput } from '@rivetr/sdk'
import { everyPage } from '@rivetr/sdk/client'
import { table, UsageError } from '../output.ts'
import type { Session } from '../session.ts'
import { routeOf } from './routes.ts'

export interface CreateOptions {
  source?: string
  image?: string
  branch?: string
  deployKey?: string
  directory?: string
  runtime?: string
  builder?: string
  dockerfile?: string
  target?: string
  port?: string
  route?: string[]
  healthPath?: string
  releaseCommand?: string[]
  postDeployCommand?: string[]
  autoDeploy?: OnOff
  watch?: string[]
  /** False: they are not fetched. */
  submodules?: boolean
  lfs?: boolean
  check?: boolean
}

export interface UpdateOptions {
  name?: string
  source?: string
  image?: string
  branch?: string
  /** False takes it away. */
  deployKey?: string | false
  autoDeploy?: OnOff
  watch?: string[]
  watchAll?: boolean
  liveness?: string
  livenessFailures?: string
  /** False takes it away. */
  releaseCommand?: string[] | false
  postDeployCommand?: string[] | false
}

type OnOff = 'on' | 'off'

export async function listApps({ client, output }: Session): Promise<void> {
  const items = await everyPage((query) => client.apps.list(query))
  const rows = items.map((app) => [app.name, app.state, app.runtime, liveOf(app), routesOf(app)])
  output.result(
    { items },
    items.length === 0
      ? 'no apps yet; "rivetr apps create --help" shows how'
      : table(['APP', 'STATE', 'RUNTIME', 'LIVE', 'ROUTES'], rows),
  )
}

export async function showApp({ client, output }: Session, name: string): Promise<void> {
  const app = await client.apps.get(name)
  output.result(app, describe(app))
}

export async function listBranches({ client, output }: Session, name: string): Promise<void> {
  const { items } = await client.apps.branches(name)
  const rows = items.map(({ name: branch, commit }) => [branch, commit])
  output.result({ items }, items.length === 0 ? 'no branches' : table(['BRANCH', 'COMMIT'], rows))
}

export async function createApp(
  { client, output }: Session,
  name: string,
  options: CreateOptions,
): Promise<void> {
  const { branch, deployKey, directory, autoDeploy, watch, submodules, lfs, check } = options
  const { runtime, builder, dockerfile, target, port, route, healthPath } = options
  const { releaseCommand, postDeployCommand } = options
  const source = sourceOf(options)
  if (source === undefined)
    throw new UsageError('say where the app comes from: --source, or --image for one that is built already')
  const app = await client.apps.create({
    name,
    source: {
      ...source,
      ...(branch && { branch }),
      ...(deployKey && { deployKey }),
      ...(directory && { directory }),
      ...(submodules === false && { submodules }),
      ...(lfs === false && { lfs }),
    },
    ...(runtime && { runtime }),
    ...((builder || dockerfile || target) && {
      builder: {
        ...(builder && { kind: builder }),
        ...(dockerfile && { dockerfile }),
        ...(target && { target }),
      },
    }),
    ...(port && { port: Number(port) }),
    ...(route && { routes: route.map(routeOf) }),
    ...(healthPath && { health: { kind: 'http', path: healthPath } }),
    ...(releaseCommand && { releaseCommand }),
    ...(postDeployCommand && { postDeployCommand }),
    ...(autoDeploy && { autoDeploy: autoDeploy === 'on' }),
    ...(watch && { watchPaths: watch }),
    ...(check === false && { check }),
  })
  output.result(app, `${describe(app)}\n\ncreated; "rivetr deploy ${app.name}" deploys it`)
}

/** What was not said stays as it is. */
export async function updateApp(
  { client, output }: Session,
  name: string,
  options: UpdateOptions,
): Promise<void> {
  if (Object.keys(options).length === 0)
    throw new UsageError('nothing to change was said; "rivetr apps update --help" lists what there is')
  const { name: renamed, source, image, branch, deployKey, autoDeploy, watch, watchAll } = options
  const { liveness, livenessFailures, releaseCommand, postDeployCommand } = options
  const moved = source || image || branch || deployKey !== undefined
  const app = await client.apps.update(name, {
    ...(renamed && { name: renamed }),
    ...(moved && { source: movedSource((await client.apps.get(name)).source, options) }),
    ...(autoDeploy && { autoDeploy: autoDeploy === 'on' }),
    ...((watch || watchAll) && { watchPaths: watchAll ? [] : watch }),
    ...((liveness || livenessFailures) && { health: movedHealth(await client.apps.get(name), options) }),
    ...(releaseCommand !== undefined && { releaseCommand: releaseCommand || null }),
    ...(postDeployCommand !== undefined && { postDeployCommand: postDeployCommand || null }),
  })
  output.result(app, describe(app))
}

/** Whoever names how many failures alone wants to be asked, too. */
function movedHealth(
  { health = { kind: 'tcp' } }: { readonly health?: AppInput['health'] },
  { liveness, livenessFailures }: UpdateOptions,
): AppInput['health'] {
  const { liveness: before, ...rest } = health
  if (liveness === 'off') {
    if (livenessFailures) throw new UsageError('with --liveness off there are no failures to count')
    return rest
  }
  const [, count, unit] = /^(\d+)(s|m)$/.exec(liveness ?? '') ?? []
  if (liveness !== undefined && count === undefined)
    throw new UsageError(`${JSON.stringify(liveness)} is no interval; write it like 10s, 2m or off`)
  return {
    ...rest,
    liveness: {
      ...before,
      ...(count && { intervalMs: Number(count) * (unit === 'm' ? 60_000 : 1_000) }),
      ...(livenessFailures && { failures: Number(livenessFailures) }),
    },
  }
}

/** The kind is seen from the scheme: all that is no upload is git's. */
function sourceOf({ source, image }: CreateOptions | UpdateOptions) {
  if (source && image) throw new UsageError('--source and --image exclude each other')
  if (image) return { kind: 'image', url: image }
  return source ? { kind: source.startsWith('upload:') ? 'upload' : 'git', url: source } : undefined
}

function movedSource({ deployKey: before, ...rest }: App['source'], options: UpdateOptions): App['source'] {
  const { branch, deployKey = before } = options
  return {
    ...rest,
    ...sourceOf(options),
    ...(branch && { branch }),
    ...(deployKey && { deployKey }),
  }
}

export async function stopApp({ client, output }: Session, name: string): Promise<void> {
  const app = await client.apps.stop(name)
  output.result(app, `stopped ${app.name}; "rivetr apps start ${app.name}" brings it back`)
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
      `${source.kind} ${source.url}${source.kind === 'git' ? `, branch ${source.branch}` : ''}${source.directory ? `, folder ${source.directory}` : ''}`,
    ],
    ['state', app.stateReason === undefined ? app.state : `${app.state}: ${app.stateReason}`],
    ['runtime', app.runtimeReason === undefined ? app.runtime : `${app.runtime}, for ${app.runtimeReason}`],
    ['live', liveOf(app)],
    ['pushes', pushesOf(app)],
    ['routes', routesOf(app)],
    ...(app.releaseCommand ? [['release', JSON.stringify(app.releaseCommand)]] : []),
    ...(app.postDeployCommand ? [['after', JSON.stringify(app.postDeployCommand)]] : []),
    ['changed', app.updatedAt],
  ]
  return rows.map(([name = '', value]) => `${name.padEnd(9)}${value}`).join('\n')
}

function pushesOf({ autoDeploy, watchPaths }: App): string {
  if (!autoDeploy) return 'deploy nothing by themselves'
  return watchPaths.length === 0 ? 'deploy' : `deploy when they change ${watchPaths.join(' ')}`
}

function liveOf({ live, restartNeeded }: App): string {
  if (live === undefined) return 'not yet'
  const commit = live.commit === undefined ? '' : ` (${live.commit.slice(0, 10)})`
  return `v${live.release}${commit}${restartNeeded ? ', env changed since' : ''}`
}

function routesOf({ routes }: App): string {
  return routes.map(({ host, path }) => (path === '/' ? host : host + path)).join(', ') || 'none'
}

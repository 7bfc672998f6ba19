import type { LogLine } from '../log.ts'
import type { App, AppChange, AppInput, EnvChange, EnvEntry, RouteSettings } from '../model/app.ts'
import type { Deployment } from '../model/deployment.ts'
import type { Page } from '../model/page.ts'
import type { ApiKey, Items, PluginInfo, ReleaseView, SystemHealth, SystemStatsView, Who } from './answers.ts'
import { type ClientOptions, type Query, Transport } from './transport.ts'

/** Which part of a list: `cursor` is the `nextCursor` of the part before. */
interface PageQuery {
  cursor?: string | undefined
  limit?: number | undefined
}
/** Which lines of a log: those after a `seq`, or the last so many. */
interface LogQuery {
  after?: number | undefined
  tail?: number | undefined
}
type RouteInput = Pick<RouteSettings, 'host'> & Partial<RouteSettings>
type EnvInput = {
  [K in keyof EnvChange]?: K extends 'set'
    ? Record<string, { value: string; secret?: boolean }>
    : EnvChange[K]
}

/** What `createClient` returns. */
export type Client = ReturnType<typeof createClient>

/**
 * Rivetr's API for the dashboard, the command line and scripts. `app` is an id or a name throughout. Errors: `ApiError`.
 *
 * @example const { items } = await createClient({ baseUrl: 'http://127.0.0.1:8080', apiKey }).apps.list()
 */
export function createClient(options: ClientOptions) {
  const transport = new Transport(options)
  const get = <T>(path: string, query?: Query) => transport.call<T>('GET', path, { query })
  const post = <T>(path: string, body?: unknown) => transport.call<T>('POST', path, { body })
  const put = <T>(path: string, body: unknown) => transport.call<T>('PUT', path, { body })
  const remove = (path: string) => transport.call<void>('DELETE', path)

  return {
    /** Any other route, such as those of third-party plugins. */
    call: <T>(method: string, path: string, body?: unknown) => transport.call<T>(method, path, { body }),

    setup: {
      needed: () => get<{ needed: boolean }>('/api/setup'),
      create: (owner: { code: string; email: string; password: string }) =>
        post<{ user: Who }>('/api/setup', owner),
    },
    auth: {
      login: (credentials: { email: string; password: string }) =>
        post<{ user: Who }>('/api/auth/login', credentials),
      logout: () => post<void>('/api/auth/logout'),
      me: () => get<{ user: Who }>('/api/auth/me'),
    },
    keys: {
      list: () => get<Items<ApiKey>>('/api/keys'),
      /** `key` is in this answer and nowhere else. */
      create: (draft: { name: string; scopes: readonly string[]; expiresAt?: string | undefined }) =>
        post<ApiKey & { key: string }>('/api/keys', draft),
      remove: (id: string) => remove(`/api/keys/${encodeURIComponent(id)}`),
    },
    apps: {
      list: (query: PageQuery = {}) => get<Page<App>>('/api/apps', { ...query }),
      get: (app: string) => get<App>(ofApp(app)),
      create: (draft: AppInput) => post<App>('/api/apps', draft),
      update: (app: string, change: Partial<AppChange>) => put<App>(ofApp(app), change),
      remove: (app: string) => remove(ofApp(app)),
      env: (app: string) => get<Items<EnvEntry>>(ofApp(app, 'env')),
      changeEnv: (app: string, change: EnvInput) => put<Items<EnvEntry>>(ofApp(app, 'env'), change),
      routes: (app: string) => get<Items<RouteSettings>>(ofApp(app, 'routes')),
      replaceRoutes: (app: string, routes: readonly RouteInput[]) =>
        put<Items<RouteSettings>>(ofApp(app, 'routes'), routes),
      deploy: (app: string, request: { commit?: string | undefined } = {}) =>
        post<Deployment>(ofApp(app, 'deploy'), request),
      deployments: (app: string, query: PageQuery = {}) =>
        get<Page<Deployment>>(ofApp(app, 'deployments'), { ...query }),
      releases: (app: string) => get<Items<ReleaseView>>(ofApp(app, 'releases')),
      logs: (app: string, query: LogQuery & { replica?: string | undefined } = {}) =>
        get<Items<LogLine>>(ofApp(app, 'logs'), { ...query }),
      /** What the replicas print from now on, until the signal aborts. */
      followLogs: (
        app: string,
        query: LogQuery & { replica?: string | undefined } = {},
        signal?: AbortSignal,
      ) => transport.follow<LogLine>(ofApp(app, 'logs'), { ...query }, signal),
    },
    deployments: {
      get: (id: string) => get<Deployment>(ofDeployment(id)),
      /** A new deployment of the release of this one. */
      rollback: (id: string) => post<Deployment>(ofDeployment(id, 'rollback')),
      cancel: (id: string) => post<Deployment>(ofDeployment(id, 'cancel')),
      promote: (id: string) => post<Deployment>(ofDeployment(id, 'promote')),
      logs: (id: string, query: LogQuery = {}) => get<Items<LogLine>>(ofDeployment(id, 'logs'), { ...query }),
      /** The log until the deployment ends. */
      followLogs: (id: string, query: LogQuery = {}, signal?: AbortSignal) =>
        transport.follow<LogLine>(ofDeployment(id, 'logs'), { ...query }, signal),
    },
    plugins: {
      list: () => get<Items<PluginInfo>>('/api/plugins'),
    },
    system: {
      health: () => get<SystemHealth>('/api/system/health'),
      stats: () => get<SystemStatsView>('/api/system/stats'),
      /** Apps go on serving unless `all` is true. */
      stop: (all = false) => post<{ stopping: true }>('/api/system/stop', { all }),
    },
  }
}

function ofApp(app: string, part?: string): string {
  return pathOf('/api/apps', app, part)
}

function ofDeployment(id: string, part?: string): string {
  return pathOf('/api/deployments', id, part)
}

function pathOf(base: string, id: string, part?: string): string {
  return `${base}/${encodeURIComponent(id)}${part === undefined ? '' : `/${part}`}`
}

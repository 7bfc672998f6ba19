import type { z } from 'zod'
import type { LogLine } from '../log.ts'
import type {
  App,
  AppInput,
  appChange,
  EnvChange,
  EnvEntry,
  RouteSettings,
  routeSettings,
} from '../model/app.ts'
import type { Deployment } from '../model/deployment.ts'
import type { Page } from '../model/page.ts'
import type { TrafficView, trafficChange } from '../model/route.ts'
import type { Branch } from '../providers/source.ts'
import type { ReplicaSample, RuntimeInfo } from '../services.ts'
import type {
  ApiKey,
  CertificateStatus,
  CommitStatusConnection,
  CommitStatuses,
  DeployKey,
  Items,
  KnownHost,
  PluginInfo,
  PluginOffer,
  RegistryLogin,
  ReleaseView,
  RepositoryScriptsView,
  ScriptDryRun,
  ScriptSummary,
  SystemHealth,
  SystemStatsView,
  WebhookDeliveries,
  WebhookStatus,
  Who,
} from './answers.ts'
import { type ClientOptions, type Query, Transport } from './transport.ts'

/** Which part of a list: `cursor` is the `nextCursor` of the part before. */
interface PageQuery {
  cursor?: string | undefined
  limit?: number | undefined
}
/** Which lines of a log: those after a `seq`, or the last so many; of them those since a time (ISO 8601). */
interface LogQuery {
  after?: number | undefined
  tail?: number | undefined
  since?: string | undefined
}
/** Which lines of a log in a file: those after a `seq`, up to another (that one, too), since a time (ISO 8601). */
interface LogSpan {
  after?: number | undefined
  until?: number | undefined
  since?: string | undefined
}
interface AppLogQuery extends LogQuery {
  replica?: string | undefined
  process?: string | undefined
}
/** A server of ssh; its port is 22 where none is named. */
interface SshPlace {
  host: string
  port?: number | undefined
}
type RouteInput = z.input<typeof routeSettings>
type TrafficInput = z.input<typeof trafficChange>
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
      update: (app: string, change: z.input<typeof appChange>) => put<App>(ofApp(app), change),
      remove: (app: string) => remove(ofApp(app)),
      env: (app: string) => get<Items<EnvEntry>>(ofApp(app, 'env')),
      changeEnv: (app: string, change: EnvInput) => put<Items<EnvEntry>>(ofApp(app, 'env'), change),
      routes: (app: string) => get<Items<RouteSettings>>(ofApp(app, 'routes')),
      replaceRoutes: (app: string, routes: readonly RouteInput[]) =>
        put<Items<RouteSettings>>(ofApp(app, 'routes'), routes),
      traffic: (app: string) => get<TrafficView>(ofApp(app, 'traffic')),
      changeTraffic: (app: string, change: TrafficInput) => put<TrafficView>(ofApp(app, 'traffic'), change),
      /** New requests wait at the edges until `resume`, or for `limitMs` (a minute). */
      pause: (app: string, limitMs?: number) => post<TrafficView>(ofApp(app, 'pause'), { limitMs }),
      resume: (app: string) => post<TrafficView>(ofApp(app, 'resume')),
      branches: (app: string) => get<Items<Branch>>(ofApp(app, 'branches')),
      /** Of `commit`, of a branch or tag (`ref: 'refs/tags/v1'`), or of the head of the app's branch; `at` (ISO 8601) a time. */
      deploy: (
        app: string,
        request: { commit?: string | undefined; ref?: string | undefined; at?: string | undefined } = {},
      ) => post<Deployment>(ofApp(app, 'deploy'), request),
      /** Nothing of it runs until it is started or deployed. */
      stop: (app: string) => post<App>(ofApp(app, 'stop')),
      start: (app: string) => post<Deployment>(ofApp(app, 'start')),
      restart: (app: string) => post<Deployment>(ofApp(app, 'restart')),
      /** Deploys the files of an archive: tar, tar.gz or zip. */
      upload: (
        app: string,
        archive: ReadableStream<Uint8Array>,
        { signal, ...query }: { message?: string | undefined; signal?: AbortSignal | undefined } = {},
      ) => transport.upload<Deployment>('POST', ofApp(app, 'upload'), { query, body: archive, signal }),
      deployments: (app: string, query: PageQuery = {}) =>
        get<Page<Deployment>>(ofApp(app, 'deployments'), { ...query }),
      webhook: (app: string) => get<WebhookStatus>(ofApp(app, 'webhook')),
      /** Sets the secret that is given, or makes one; it is in this answer and nowhere else. */
      setWebhook: (app: string, secret?: string) =>
        put<{ secret: string }>(ofApp(app, 'webhook'), { secret }),
      /** No webhook deploys the app any more. */
      removeWebhook: (app: string) => remove(ofApp(app, 'webhook')),
      deliveries: (app: string, query: PageQuery = {}) =>
        get<WebhookDeliveries>(ofApp(app, 'deliveries'), { ...query }),
      commitStatus: (app: string, query: PageQuery = {}) =>
        get<CommitStatuses>(ofApp(app, 'commit-status'), { ...query }),
      /** Tells the git host of the app how its deployments go. `kind` and `apiUrl` where the source does not say them. */
      setCommitStatus: (
        app: string,
        connection: {
          token: string
          kind?: CommitStatusConnection['kind'] | undefined
          apiUrl?: string | undefined
        },
      ) => put<CommitStatusConnection>(ofApp(app, 'commit-status'), connection),
      /** The token is removed, and nothing is told any more. */
      removeCommitStatus: (app: string) => remove(ofApp(app, 'commit-status')),
      releases: (app: string) => get<Items<ReleaseView>>(ofApp(app, 'releases')),
      logs: (app: string, query: AppLogQuery = {}) => get<Items<LogLine>>(ofApp(app, 'logs'), { ...query }),
      /** What each replica takes, measured now. */
      stats: (app: string) => get<Items<ReplicaSample>>(ofApp(app, 'stats')),
      /** The same every two seconds, until the signal aborts. */
      followStats: (app: string, signal?: AbortSignal) =>
        transport.follow<ReplicaSample>(ofApp(app, 'stats'), {}, signal),
      /** What the replicas print from now on, until the signal aborts. */
      followLogs: (app: string, query: AppLogQuery = {}, signal?: AbortSignal) =>
        transport.follow<LogLine>(ofApp(app, 'logs'), { ...query }, signal),
      /** The same as text, a line for each; what breaks off fails. */
      downloadLogs: (
        app: string,
        query: LogSpan & Pick<AppLogQuery, 'replica' | 'process'> = {},
        signal?: AbortSignal,
      ) => transport.download(ofApp(app, 'logs/download'), { ...query }, signal),
    },
    runtimes: { list: () => get<Items<RuntimeInfo>>('/api/runtimes') },
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
      /** The same as text, a line for each; what breaks off fails. */
      downloadLogs: (id: string, query: LogSpan = {}, signal?: AbortSignal) =>
        transport.download(ofDeployment(id, 'logs/download'), { ...query }, signal),
    },
    certificates: {
      list: () => get<Items<CertificateStatus>>('/api/certificates'),
      get: (host: string) => get<CertificateStatus>(ofCertificate(host)),
      /** PEM both; the key never comes back. */
      upload: (pair: { chain: string; key: string }) =>
        post<Items<CertificateStatus>>('/api/certificates', pair),
      /** An uploaded one. */
      remove: (host: string) => remove(ofCertificate(host)),
      /** Asks the CA for a new one now. */
      renew: (host: string) => post<CertificateStatus>(ofCertificate(host, 'renew')),
    },
    registries: {
      list: () => get<Items<RegistryLogin>>('/api/registries'),
      /** In place of what was kept for this registry; the password never comes back. */
      login: (login: { registry: string; username: string; password: string }) =>
        put<RegistryLogin>('/api/registries', login),
      remove: (registry: string) => remove(`/api/registries/${encodeURIComponent(registry)}`),
    },
    deployKeys: {
      list: () => get<Items<DeployKey>>('/api/deploy-keys'),
      get: (name: string) => get<DeployKey>(`/api/deploy-keys/${encodeURIComponent(name)}`),
      /** Makes one, or takes the private key that is given; the private half never comes back. */
      create: (draft: { name: string; privateKey?: string | undefined }) =>
        post<DeployKey>('/api/deploy-keys', draft),
      remove: (name: string) => remove(`/api/deploy-keys/${encodeURIComponent(name)}`),
    },
    knownHosts: {
      list: () => get<Items<KnownHost>>('/api/known-hosts'),
      /** What a server shows now; pins nothing. */
      scan: (server: SshPlace) => post<Items<KnownHost>>('/api/known-hosts/scan', server),
      add: (draft: SshPlace & { key: string }) => post<KnownHost>('/api/known-hosts', draft),
      remove: (id: string) => remove(`/api/known-hosts/${encodeURIComponent(id)}`),
    },
    /** Scripts of apps; those of the machine's owner are files. */
    scripts: {
      list: (app: string) => get<Items<ScriptSummary>>(ofApp(app, 'scripts')),
      get: (app: string, name: string) => get<ScriptSummary & { text: string }>(scriptPath(app, name)),
      put: (app: string, name: string, script: { text: string; enabled?: boolean }) =>
        put<ScriptSummary>(scriptPath(app, name), script),
      remove: (app: string, name: string) => remove(scriptPath(app, name)),
      /** Whether the repository brings scripts. */
      ofRepository: (app: string) => get<RepositoryScriptsView>(ofApp(app, 'repository-scripts')),
      /** Whoever can push then has a say in deployments. */
      allowRepository: (app: string, allowed: boolean) =>
        put<RepositoryScriptsView>(ofApp(app, 'repository-scripts'), { allowed }),
      /** The files of the machine's owner. */
      files: () => get<Items<ScriptSummary> & { folder: string }>('/api/scripts'),
      /** Whether it loads, and what it taps; with an app, as a script of that app. */
      check: (script: { name: string; text: string; app?: string | undefined }) =>
        post<{ hooks: { hook: string; line: number }[] }>('/api/scripts/check', script),
      /** Runs what it taps of a hook, and touches nothing. */
      run: (script: {
        name: string
        text: string
        app?: string | undefined
        hook: string
        args: unknown[]
        /** What it is told that asks, by the name of the call and in their order. */
        answers?: Record<string, unknown[]> | undefined
      }) => post<ScriptDryRun>('/api/scripts/run', script),
      /** Gives a script a secret: one of an app, or without an app a file's. It never comes back. */
      putSecret: (place: SecretPlace, value: string) => put<void>(secretPath(place), { value }),
      removeSecret: (place: SecretPlace) => remove(secretPath(place)),
    },
    deliveries: {
      /** Those of all apps. */
      list: (query: PageQuery = {}) => get<WebhookDeliveries>('/api/deliveries', { ...query }),
    },
    plugins: {
      list: () => get<Items<PluginInfo>>('/api/plugins'),
      get: (name: string) => get<PluginInfo>(`/api/plugins/${encodeURIComponent(name)}`),
      /** What the plugin in a folder of Rivetr's machine says of itself. */
      inspect: (folder: string) => post<PluginOffer>('/api/plugins/inspect', { folder }),
      /** `accepted` are exactly the permissions that it wants. */
      add: (folder: string, accepted: readonly string[]) =>
        post<PluginInfo>('/api/plugins', { folder, accepted }),
      reload: (name: string) => post<{ reloaded: string }>(`/api/plugins/${encodeURIComponent(name)}/reload`),
      remove: (name: string) => remove(`/api/plugins/${encodeURIComponent(name)}`),
    },
    system: {
      health: () => get<SystemHealth>('/api/system/health'),
      stats: () => get<SystemStatsView>('/api/system/stats'),
      /** Apps go on serving unless `all` is true. */
      stop: (all = false) => post<{ stopping: true }>('/api/system/stop', { all }),
    },
  }
}

interface SecretPlace {
  /** Absent: of a file of the machine's owner. */
  readonly app?: string | undefined
  readonly script: string
  readonly secret: string
}

function secretPath({ app, script, secret }: SecretPlace): string {
  return `${scriptPath(app, script)}/secrets/${encodeURIComponent(secret)}`
}

function scriptPath(app: string | undefined, name: string): string {
  const scripts = app === undefined ? '/api/scripts' : ofApp(app, 'scripts')
  return `${scripts}/${encodeURIComponent(name)}`
}

function ofApp(app: string, part?: string): string {
  return pathOf('/api/apps', app, part)
}

function ofDeployment(id: string, part?: string): string {
  return pathOf('/api/deployments', id, part)
}

function ofCertificate(host: string, part?: string): string {
  return pathOf('/api/certificates', host, part)
}

function pathOf(base: string, id: string, part?: string): string {
  return `${base}/${encodeURIComponent(id)}${part === undefined ? '' : `/${part}`}`
}

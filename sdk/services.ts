import type { EntityManager } from '@mikro-orm/core'
import type { Principal } from './access.ts'
import type { AnyRoute, EdgeContribution, PageContribution, WidgetContribution } from './contributions.ts'
import type { LogLine } from './log.ts'
import type { App, AppChange, AppDraft, EnvChange, EnvEntry, RouteSettings } from './model/app.ts'
import type { Deployment, Release, TriggerKind } from './model/deployment.ts'
import type { Page, PageQuery } from './model/page.ts'
import type { TrafficChange, TrafficView } from './model/route.ts'
import type { Detection, ReplicaStats, Terminal, TerminalOptions } from './providers/runtime.ts'
import type { Branch } from './providers/source.ts'
import { token } from './token.ts'

/**
 * Apps and their env. Every call takes the principal; what it may not see is `not_found`.
 * `app` is an id or a name throughout. Errors: `invalid_input`, `not_found`, `conflict`, `refused` (a gate).
 */
export interface Apps {
  list(principal: Principal, query?: Partial<PageQuery>): Promise<Page<App>>
  get(principal: Principal, app: string): Promise<App>
  create(principal: Principal, draft: AppDraft): Promise<App>
  update(principal: Principal, app: string, change: AppChange): Promise<App>
  /**
   * Ends its replicas and whatever would bring new ones, until somebody starts or deploys it; also over restarts. Its routes
   * stay and answer 503. Resolves when no edge sends it requests; what is under way ends in the background. Idempotent.
   */
  stop(principal: Principal, app: string): Promise<App>
  /** Takes its routes away, stops its replicas and removes everything that Rivetr made for it. */
  remove(principal: Principal, app: string): Promise<void>
  /** The branches of its source, and where they are. Errors: those of `Source`. */
  branches(principal: Principal, app: string): Promise<Branch[]>
  env(principal: Principal, app: string): Promise<EnvEntry[]>
  changeEnv(principal: Principal, app: string, change: EnvChange): Promise<EnvEntry[]>
}
export const Apps = token<Apps>('apps')

/** What is to be deployed, and why. */
export interface DeploymentRequest {
  readonly kind: TriggerKind
  /** A whole commit id; absent: the head of the app's branch when its turn comes. */
  readonly commit?: string | undefined
  /** A branch, or a tag as `refs/tags/v1`, instead: its commit as it is now. */
  readonly ref?: string | undefined
  /** ISO 8601: it waits until then, over restarts, too. One whose time has gone by while Rivetr was down begins at the next start. */
  readonly at?: string | undefined
  readonly message?: string | undefined
  readonly reason?: string | undefined
  readonly requestId?: string | undefined
}

/** Deployments of apps. Errors: `not_found`, `forbidden`, `conflict`. */
export interface Deployments {
  /** Queues a deployment; a push supersedes older queued and waiting pushes of its app. */
  request(principal: Principal, app: string, request: DeploymentRequest): Promise<Deployment>
  list(principal: Principal, app: string, query?: Partial<PageQuery>): Promise<Page<Deployment>>
  get(principal: Principal, id: string): Promise<Deployment>
  /** Queues a deployment of the release of this one. `conflict`: it has none, it is live already, or its image is gone. */
  rollback(principal: Principal, id: string, requestId?: string): Promise<Deployment>
  /** Queues a new release of what is live, with the env as it is now. `conflict`: nothing is, or the app is stopped. */
  restart(principal: Principal, app: string, requestId?: string): Promise<Deployment>
  /** The same for an app that was stopped. `conflict`: it was not, or has no release. */
  start(principal: Principal, app: string, requestId?: string): Promise<Deployment>
  /** Stops the work itself. Idempotent; `conflict` past the commit point. Resolves when the deployment is final. */
  cancel(principal: Principal, id: string): Promise<Deployment>
  /** Lets a waiting deployment pass. */
  promote(principal: Principal, id: string): Promise<Deployment>
}
export const Deployments = token<Deployments>('deployments')

/** What deployments made of an app. */
export interface Releases {
  list(principal: Principal, app: string): Promise<Release[]>
}
export const Releases = token<Releases>('releases')

/** Under which hosts and paths an app answers, and whether it does now. */
export interface Routes {
  list(principal: Principal, app: string): Promise<RouteSettings[]>
  /** `conflict` when another app has the same host and path. Resolves when the edges have it. */
  replace(principal: Principal, app: string, routes: readonly RouteSettings[]): Promise<RouteSettings[]>
  /** What all routes of the app do: maintenance, pages for errors, a pause. */
  traffic(principal: Principal, app: string): Promise<TrafficView>
  /** Resolves when the edges have it. */
  changeTraffic(principal: Principal, app: string, change: TrafficChange): Promise<TrafficView>
  /**
   * From the moment it resolves, new requests of the app wait at the edges, until `resume` or the end of the limit.
   * A switch of releases meanwhile goes on waiting.
   */
  pause(principal: Principal, app: string, limitMs: number): Promise<TrafficView>
  /** Lets them go. Idempotent. */
  resume(principal: Principal, app: string): Promise<TrafficView>
  /**
   * Computes the table anew, for providers and taps that have something new for it. Resolves when every edge has it;
   * calls that come meanwhile share the next table. Errors: those of `Traffic.apply`.
   */
  publish(): Promise<void>
}
export const Routes = token<Routes>('routes')

/** Which lines of a log. */
export interface LogQuery {
  /** Lines after this sequence number. */
  readonly after?: number | undefined
  /** Only so many of the last lines, of those that the rest of the query takes. */
  readonly tail?: number | undefined
  /** Only lines of this time and later: ISO 8601. */
  readonly since?: string | undefined
  /** Go on until the log is complete (a deployment's end) or the signal aborts. */
  readonly follow?: boolean | undefined
  /** Only what this replica printed: its id. Of an app alone, like `process`. */
  readonly replica?: string | undefined
  /** Only what the replicas of this process printed. */
  readonly process?: string | undefined
  readonly signal: AbortSignal
}

/** Logs of deployments and of apps. */
export interface Logs {
  /** The log of a deployment: all its steps, builds included. */
  deployment(principal: Principal, id: string, query: LogQuery): AsyncIterable<LogLine>
  /**
   * What the replicas of an app print and printed, those of earlier releases too, as far back as it is kept. Numbers go on over
   * all of them and over restarts. Followed, it goes on until the app is removed.
   */
  app(principal: Principal, app: string, query: LogQuery): AsyncIterable<LogLine>
}
export const Logs = token<Logs>('logs')

/** Which replica of an app; absent: the first that is ready, `web` before others. */
export interface ReplicaChoice {
  readonly replica?: string | undefined
  readonly process?: string | undefined
}

/** What a replica took, when it was measured. */
export interface ReplicaSample extends ReplicaStats {
  readonly replica: string
  readonly process: string
  /** From 0. */
  readonly index: number
  /** Of one core, since it was measured before; absent where it was started meanwhile. */
  readonly cpuPercent?: number | undefined
}

/** A runtime, and what becomes of apps that name none. */
export interface RuntimeInfo extends Detection {
  readonly name: string
  readonly accepts: readonly string[]
  readonly capabilities: readonly string[]
  /** How many apps are on it. */
  readonly apps: number
}

/** What can be done with replicas that run. Errors: `not_found`, `forbidden`, `conflict` where there is none. */
export interface Replicas {
  /** Runs a command with a terminal inside a replica of what is live. */
  terminal(
    principal: Principal,
    app: string,
    choice: ReplicaChoice,
    options: TerminalOptions,
  ): Promise<Terminal>
  /** One sample for each replica of what is live, with `follow` again every two seconds. */
  stats(
    principal: Principal,
    app: string,
    options: { readonly follow: boolean; readonly signal: AbortSignal },
  ): AsyncIterable<ReplicaSample>
  /** The one first that an app gets that names none and that it can run. */
  runtimes(principal: Principal): Promise<RuntimeInfo[]>
}
export const Replicas = token<Replicas>('replicas')

/**
 * Versioned secrets, encrypted at rest (AES-256-GCM). `scope` keeps names apart: an app's id for what belongs to it
 * (removed with it); a plugin prefixes names with its own.
 */
export interface Secrets {
  /** Stores a new version; returns `name@version`. */
  put(scope: string, name: string, value: string): Promise<string>
  /** The newest version that is not revoked. */
  find(scope: string, name: string): Promise<string | undefined>
  /** The names in a scope that begin so, in order; values stay where they are. */
  names(scope: string, prefix: string): Promise<string[]>
  remove(scope: string, name: string): Promise<void>
}
export const Secrets = token<Secrets>('secrets')

/** Statements over the plugin's own entities (`defineEntity`, table prefix `<plugin>__`); any other entity throws. */
export type Rows = Pick<
  EntityManager,
  'find' | 'findOne' | 'count' | 'insert' | 'insertMany' | 'upsert' | 'nativeUpdate' | 'nativeDelete'
>

/** The tables of the plugin. */
export interface Database {
  /** Reads, on no transaction. */
  readonly rows: Rows
  /**
   * The only way to read and then write: one at a time, begun immediately. Inside nothing but its `rows` may be
   * awaited: a hook, a provider or `Database.rows` there throws.
   */
  transaction<T>(work: (rows: Rows) => Promise<T>): Promise<T>
}
export const Database = token<Database>('database')

/** Work at certain times. */
export interface Schedules {
  /** Runs at the times of a cron expression (UTC); a run that is still going is not started again. Ends with the scope. */
  cron(name: string, expression: string, run: (signal: AbortSignal) => Promise<void>): void
}
export const Schedules = token<Schedules>('schedules')

/** Where a plugin is in its life. */
export type PluginState =
  | 'discovered'
  | 'disabled'
  | 'loading'
  | 'configured'
  | 'running'
  | 'failed'
  | 'stopped'

/** A plugin as `GET /api/plugins` shows it. */
export interface PluginInfo {
  readonly name: string
  readonly version: string
  readonly builtIn: boolean
  readonly state: PluginState
  readonly error?: { readonly code: string; readonly message: string; readonly phase: string } | undefined
  readonly requires: readonly string[]
  readonly provides: readonly string[]
  readonly permissions: readonly string[]
  /** Milliseconds each phase took. */
  readonly phases: Readonly<Record<string, number>>
  readonly taps: readonly {
    readonly hook: string
    readonly calls: number
    readonly errors: number
    readonly muted: boolean
    readonly totalMs: number
  }[]
}

/** What a plugin in a folder says of itself, before any of its code has run. */
export type PluginOffer = Pick<PluginInfo, 'name' | 'version' | 'requires' | 'provides' | 'permissions'>

/** The plugins of this kernel. */
export interface Plugins {
  list(): PluginInfo[]
  /** `folder` is absolute, on Rivetr's machine. Errors: `plugin_invalid` where there is none that could run. */
  inspect(folder: string): Promise<PluginOffer>
  /**
   * Loads and runs the plugin of a folder, now and at every start from now on. `accepted` are the permissions to which a person
   * agreed. Errors: `plugin_invalid`, `conflict` for a name that is taken or other permissions, `plugin_failed` with its phase;
   * nothing of it is left then.
   */
  add(folder: string, accepted: readonly string[]): Promise<PluginInfo>
  /**
   * Stops a plugin that was added and forgets it; its tables stay. One whose folder is gone is listed by that folder: its name and
   * the folder both do. Errors: `not_found`, `conflict` with who needs it.
   */
  remove(name: string): Promise<void>
  /** Parses the new configuration first; on failure the plugin goes on with the old one. */
  reload(name: string): Promise<void>
}
export const Plugins = token<Plugins>('plugins')

/** The kernel's own settings, as parsed. */
export interface Config {
  readonly instance: string
  readonly version: string
  /** 0700; nothing but Rivetr reads it. */
  readonly dataDir: string
  /** Folders of native releases, outside of `dataDir` because apps must be able to enter them. */
  readonly appsDir: string
  readonly startedAt: string
  readonly safeMode: boolean
  /** Addresses and networks that `Outgoing` (sdk/kit) may dial although they are not public. */
  readonly outgoingAllow: readonly string[]
}
export const Config = token<Config>('config')

/** What all running plugins contributed, each with the plugin that did; the lists are new ones after every change. */
export interface Contributions {
  readonly routes: readonly { readonly plugin: string; readonly route: AnyRoute }[]
  readonly pages: readonly { readonly plugin: string; readonly page: PageContribution }[]
  readonly widgets: readonly { readonly plugin: string; readonly widget: WidgetContribution }[]
  /** Modules whose taps run in the edges (`sdk/edge`). */
  readonly edges: readonly EdgeContribution[]
  /** Calls `run` after every change. The returned function takes it back. */
  onChange(run: () => void): () => void
}
export const Contributions = token<Contributions>('contributions')

/** Ends the kernel's process from within. */
export interface Lifecycle {
  /** Returns at once. `stop` leaves edges and replicas running; `stop-all` ends them too. */
  stop(reason: 'stop' | 'stop-all'): void
}
export const Lifecycle = token<Lifecycle>('lifecycle')

import type { Principal } from './access.ts'
import type { App } from './model/app.ts'
import type { Replica, RunSpec } from './model/deployment.ts'
import type {
  ActionAudited,
  AppEvent,
  AppValidatePayload,
  AuthenticatePayload,
  AuthorizePayload,
  BackupPayload,
  CertificatePayload,
  DeployFailedPayload,
  DeployPayload,
  Env,
  HealthChangedPayload,
  HealthCheckPayload,
  HealthVeto,
  PushReceivedPayload,
  StateChangedPayload,
} from './payloads.ts'
import type { TableRoute } from './providers/traffic.ts'
import { token } from './token.ts'

/**
 * gate: may refuse (throw), change (waterfall) or make wait; an error stops the operation; never muted.
 * notice: informs; nobody waits; an error is reported and goes no further; muted after repeated failures.
 * answer: the first value wins (authorize: all are asked); an error is no answer; never muted.
 */
export type Policy = 'gate' | 'notice' | 'answer'

/** Who may tap a hook from a script: nobody, owners of an app (for their app alone), the owner of the machine. */
export type Scripts = 'none' | 'app' | 'admin'

/** How the taps of a hook run: in order until a verdict, value through all, all at once, until a value, all asked in turn. */
export type Shape = 'series' | 'waterfall' | 'parallel' | 'bail' | 'unanimous'

/** A value, or the promise of it. */
export type Awaitable<T> = T | Promise<T>

/** A gate's "not yet": the operation waits without holding a turn, until `until` (ISO 8601) or until it is promoted. */
export interface Wait {
  readonly verdict: 'wait'
  readonly reason: string
  readonly until?: string | undefined
}
/** A gate's "not at all, and that is fine". */
export interface Skip {
  readonly verdict: 'skip'
  readonly reason: string
}

/** Returned by a tap of a gate that may wait. @example return wait('needs a promotion') */
export function wait(reason: string, until?: string): Wait {
  return { verdict: 'wait', reason, until }
}
/** Returned by a tap of `pushReceived`: nothing is deployed, and the delivery says why. */
export function skip(reason: string): Skip {
  return { verdict: 'skip', reason }
}

declare const types: unique symbol

/** One row of the table: how a hook behaves, and (types only) what its taps take and give. */
export interface Hook<Args extends unknown[], Result> {
  readonly policy: Policy
  readonly shape: Shape
  /** Deadline of one tap in milliseconds; `step`: the deadline of the step that fires it, through the payload's signal. */
  readonly limitMs: number | 'step'
  readonly scripts: Scripts
  /** Verdicts that a gate's tap may return. */
  readonly verdicts: readonly ('wait' | 'skip')[]
  readonly [types]?: (...args: Args) => Result
}

interface Terms {
  limitMs?: number | 'step'
  scripts: Scripts
}

function gate<Payload>(terms: Terms): Hook<[Payload], never> {
  return Object.freeze({ policy: 'gate', shape: 'series', limitMs: 60_000, verdicts: [], ...terms })
}
function waitingGate<Payload>(terms: Terms): Hook<[Payload], Wait> {
  return Object.freeze({
    policy: 'gate',
    shape: 'series',
    limitMs: 60_000,
    verdicts: ['wait'] as const,
    ...terms,
  })
}
function skippingGate<Payload>(terms: Terms): Hook<[Payload], Skip> {
  return Object.freeze({
    policy: 'gate',
    shape: 'series',
    limitMs: 60_000,
    verdicts: ['skip'] as const,
    ...terms,
  })
}
function waterfall<Value, Context>(terms: Terms): Hook<[Value, Context], Value> {
  return Object.freeze({ policy: 'gate', shape: 'waterfall', limitMs: 60_000, verdicts: [], ...terms })
}
function notice<Payload>(terms: Terms): Hook<[Payload], never> {
  return Object.freeze({ policy: 'notice', shape: 'parallel', limitMs: 30_000, verdicts: [], ...terms })
}
function answer<Payload, Result>(shape: 'bail' | 'unanimous', terms: Terms): Hook<[Payload], Result> {
  return Object.freeze({ policy: 'answer', shape, limitMs: 10_000, verdicts: [], ...terms })
}

/** Every hook of Rivetr. `preX` may refuse, `postX` and facts inform, `xResolve` yields a value. */
export const hooks = Object.freeze({
  /** All plugins run. */
  kernelReady: notice<{ readonly plugins: readonly string[] }>({ scripts: 'admin' }),
  /** The kernel ends; awaited, for 10 s at most. */
  kernelStop: notice<{ readonly reason: string }>({ scripts: 'admin', limitMs: 10_000 }),
  /** A plugin failed in a phase of its life, and was disposed. */
  pluginFailed: notice<{
    readonly plugin: string
    readonly phase: string
    readonly error: { code: string; message: string }
  }>({ scripts: 'admin' }),

  /** Before an app is saved, when it is created and when it changes. */
  appValidate: gate<AppValidatePayload>({ scripts: 'admin' }),
  /** An app was saved for the first time. */
  appCreated: notice<AppEvent>({ scripts: 'app' }),
  /** Settings, env, routes or traffic of an app have changed. `before` is what was. */
  appUpdated: notice<AppEvent>({ scripts: 'app' }),
  /** Before an app is removed: what belongs to it is still there, and can be given up or kept back. */
  preAppDelete: gate<AppEvent>({ scripts: 'admin', limitMs: 'step' }),
  /** An app and everything that Rivetr made for it are gone. */
  appDeleted: notice<AppEvent>({ scripts: 'app' }),

  /** A push that would deploy an app, per app: a verified one of a webhook, or one that was found by comparing heads. */
  pushReceived: skippingGate<PushReceivedPayload>({ scripts: 'app' }),

  /** A deployment leaves the queue; nothing has been fetched. */
  preDeploy: waitingGate<DeployPayload>({ scripts: 'app' }),
  /** The source is there, in a workspace that a tap may change; nothing has been built. */
  preBuild: gate<DeployPayload>({ scripts: 'app', limitMs: 'step' }),
  /** Before the release is saved; `for` says whether the values go into the build or into the run. */
  envResolve: waterfall<Env, { readonly deploy: DeployPayload; readonly for: 'build' | 'run' }>({
    scripts: 'admin',
  }),
  /** Before the release is saved, per process. */
  specResolve: waterfall<RunSpec, DeployPayload>({ scripts: 'admin' }),
  /** The release is saved. */
  postBuild: notice<DeployPayload>({ scripts: 'app' }),
  /** The release is saved, no replica of it has started. */
  preStart: gate<DeployPayload>({ scripts: 'admin', limitMs: 'step' }),
  /** The replicas of the release have started; they have yet to be checked. */
  postStart: notice<DeployPayload>({ scripts: 'app' }),
  /** The replicas are healthy; before the commit point. What is refused here leaves the old release serving. */
  preSwitch: waitingGate<DeployPayload & { readonly current?: { readonly release: number } | undefined }>({
    scripts: 'app',
    limitMs: 'step',
  }),
  /** The new release serves; the old one has yet to drain. */
  postDeploy: notice<DeployPayload & { readonly previous?: { readonly release: number } | undefined }>({
    scripts: 'app',
  }),
  /** After everything of the failed deployment was cleaned. */
  deployFailed: notice<DeployFailedPayload>({ scripts: 'app' }),
  /** Every transition, after its commit. */
  deployStateChanged: notice<StateChangedPayload>({ scripts: 'app' }),

  /** After the probe of a replica found it healthy; may only veto. */
  healthCheck: answer<HealthCheckPayload, HealthVeto>('bail', { scripts: 'app' }),
  /** A replica that served is not healthy any more, or is again. */
  healthChanged: notice<HealthChangedPayload>({ scripts: 'app' }),
  /** A replica ended without having been told to. */
  replicaExited: notice<{
    readonly app: App
    readonly replica: Replica
    readonly exitCode: number
    readonly oom: boolean
  }>({ scripts: 'app' }),

  /** Whenever the table is computed, per route. */
  routeResolve: waterfall<TableRoute, { readonly app: App }>({ scripts: 'app' }),
  /** After all edges acknowledged. Each is `host/path`. */
  routesChanged: notice<{ readonly added: readonly string[]; readonly removed: readonly string[] }>({
    scripts: 'admin',
  }),

  /** Before a certificate is ordered. */
  preCertIssue: gate<{
    readonly hosts: readonly string[]
    readonly reason: string
    readonly challenge: string
  }>({ scripts: 'admin' }),
  /** A certificate is in force; edges serve it from the next handshake on. */
  certIssued: notice<CertificatePayload>({ scripts: 'admin' }),
  /** A certificate ends in `days`, and no newer one has come. */
  certExpiring: notice<CertificatePayload>({ scripts: 'admin' }),
  /** An order failed; it is tried again at `retryAt`. */
  certFailed: notice<CertificatePayload>({ scripts: 'admin' }),

  /** Before a backup is made. */
  preBackup: gate<BackupPayload>({ scripts: 'none', limitMs: 'step' }),
  /** A backup is made: each plugin adds what it keeps outside of the database. */
  backupCollect: gate<
    BackupPayload & { readonly add: (name: string, bytes: AsyncIterable<Uint8Array>) => Promise<void> }
  >({ scripts: 'none', limitMs: 'step' }),
  /** A backup is restored: each plugin reads back what it added. */
  backupRestore: gate<
    BackupPayload & { readonly read: (name: string) => Promise<AsyncIterable<Uint8Array> | undefined> }
  >({ scripts: 'none', limitMs: 'step' }),
  /** A backup is in its store. */
  postBackup: notice<BackupPayload>({ scripts: 'admin' }),
  /** A backup was restored. */
  postRestore: notice<BackupPayload>({ scripts: 'admin' }),

  /** Who is it? No answer: nobody. */
  authenticate: answer<AuthenticatePayload, Principal>('bail', { scripts: 'none' }),
  /** May they? Any `deny` wins; without an answer it is denied. */
  authorize: answer<AuthorizePayload, 'allow' | 'deny'>('unanimous', { scripts: 'none' }),
  /** Somebody did something that is kept account of, was denied it, or failed in it. */
  actionAudited: notice<ActionAudited>({ scripts: 'admin' }),
})

/** Name of a hook of the table `hooks`. */
export type HookName = keyof typeof hooks

type ArgsOf<N extends HookName> = (typeof hooks)[N] extends Hook<infer Args, unknown> ? Args : never
type ResultOf<N extends HookName> = (typeof hooks)[N] extends Hook<never, infer Result> ? Result : never

/** What a tap of this hook looks like. `undefined` means "no opinion", for every hook. */
export type Tap<N extends HookName> = (...args: ArgsOf<N>) => Awaitable<ResultOf<N> | undefined>

type NamesOf<P extends Policy> = {
  [N in HookName]: (typeof hooks)[N]['policy'] extends P ? N : never
}[HookName]

/** Fires hooks. A plugin that fires some requires `hooks`. */
export interface Hooks {
  /** Gates and answers: waits for the taps. A refusal of a gate is thrown (`refused`, naming plugin and hook). */
  call<N extends HookName>(hook: N, ...args: ArgsOf<N>): Promise<CallResult<N>>
  /** Notices: returns at once. */
  notify<N extends HookName>(hook: N, ...args: ArgsOf<N>): void
}
type Waterfalls = 'envResolve' | 'specResolve' | 'routeResolve'
/** A waterfall always yields a value; everything else may yield none. */
export type CallResult<N extends HookName> = N extends Waterfalls ? ResultOf<N> : ResultOf<N> | undefined

export const Hooks = token<Hooks>('hooks')

export type { NamesOf as HookNamesOf }

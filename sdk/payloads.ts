import type { Action, Principal, Resource } from './access.ts'
import type { LineSink } from './log.ts'
import type { App, AppDraft } from './model/app.ts'
import type {
  Commit,
  Deployment,
  DeploymentState,
  Release,
  Replica,
  ReplicaState,
  RunSpec,
  Step,
  TriggerKind,
} from './model/deployment.ts'
import type { SourceTree } from './providers/builder.ts'
import type { ProbeResult } from './providers/health-probe.ts'
import type { WebhookEvent } from './providers/webhook-provider.ts'

/** What every deploy hook gets: plain, read-only; a field is there once it exists. */
export interface DeployPayload {
  readonly id: string
  readonly app: App
  /** From 1; grows when a deployment starts again after a crash. Gates and notices may come more than once. */
  readonly attempt: number
  readonly trigger: TriggerKind
  readonly commit?: Commit | undefined
  readonly source?: SourceTree | undefined
  readonly release?: Release | undefined
  readonly replicas?: readonly Replica[] | undefined
  /** Writes to the deployment's log. */
  readonly log: LineSink
  readonly signal: AbortSignal
}

/** Payload of `appValidate`. */
export interface AppValidatePayload {
  readonly draft: AppDraft
  readonly before?: App | undefined
  /** Reports a fault of the draft: `issue('builder.dockerfile', 'does not exist')`. The save is refused with all of them. */
  readonly issue: (path: string, text: string) => void
}

/** Payload of the hooks of apps. */
export interface AppEvent {
  readonly app: App
  readonly before?: App | undefined
  readonly by: Principal
}

/** A push to a branch, as a webhook told of it. */
export type PushEvent = Extract<WebhookEvent, { kind: 'push' }>

/** Payload of `pushReceived`: a push to the branch of an app that deploys by itself. */
export interface PushReceivedPayload {
  readonly event: PushEvent
  readonly app: App
  /** The id that the git host gave the delivery; absent where the push was found by comparing heads. */
  readonly delivery?: string | undefined
}

/** Environment by name; `secret` values are masked in logs and never shown again. */
export type Env = Readonly<Record<string, { readonly value: string; readonly secret: boolean }>>

/** Payload of `healthCheck`. */
export interface HealthCheckPayload {
  readonly app: App
  readonly replica: Replica
  readonly attempt: number
  /** What the named probe found. */
  readonly probe: ProbeResult
  readonly signal: AbortSignal
}

/** A `healthCheck` tap may only veto. */
export interface HealthVeto {
  readonly healthy: false
  readonly detail: string
}

/** Payload of `healthChanged`. */
export interface HealthChangedPayload {
  readonly app: App
  readonly replica: Replica
  readonly from: ReplicaState
  readonly to: ReplicaState
  readonly detail: string
}

/** Payload of `deployFailed`. */
export interface DeployFailedPayload extends DeployPayload {
  readonly step?: Step | undefined
  readonly error: { readonly code: string; readonly message: string }
}

/** Payload of `deployStateChanged`. */
export interface StateChangedPayload {
  readonly deployment: Deployment
  readonly from: DeploymentState
  readonly to: DeploymentState
}

/** Payload of `authenticate`: what a request says about its sender. */
export interface AuthenticatePayload {
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly cookies: Readonly<Record<string, string>>
  readonly ip: string
  /** A state-changing method: a cookie alone must not be enough (CSRF). */
  readonly method: string
}

/** Payload of `authorize`. */
export interface AuthorizePayload {
  readonly principal: Principal
  readonly action: Action
  readonly resource: Resource
}

/** Payload of `actionAudited`. */
export interface ActionAudited {
  readonly at: string
  readonly principal: Principal
  readonly action: string
  readonly resource: Resource
  readonly outcome: 'done' | 'denied' | 'failed'
}

/** Payload of the hooks of certificates; a field is there where the hook knows it. */
export interface CertificatePayload {
  readonly hosts: readonly string[]
  readonly notAfter?: string
  readonly days?: number
  readonly error?: string
  readonly retryAt?: string
}

/** Payload of the hooks of backups. */
export interface BackupPayload {
  readonly backup: string
  readonly bytes?: number
  readonly store?: string
}

export type { RunSpec }

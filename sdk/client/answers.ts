import type { Commit } from '../model/deployment.ts'
import type { Page } from '../model/page.ts'
import type { PluginInfo, PluginOffer, PluginState } from '../services.ts'

/** A list that is always whole. */
export interface Items<T> {
  items: T[]
}

/** Who is signed in, and what they may do. */
export interface Who {
  id: string
  kind: 'user' | 'key' | 'system'
  name: string
  scopes: string[]
}

/** An API key as lists show it; the key itself is shown once, when it is made. */
export interface ApiKey {
  id: string
  name: string
  /** Its first characters. */
  prefix: string
  scopes: string[]
  createdBy: string
  createdAt: string
  expiresAt?: string | undefined
}

/** A release as `GET /api/apps/:id/releases` shows it. */
export interface ReleaseView {
  id: string
  /** Shown as v1, v2, … */
  number: number
  artefact: { kind: 'oci'; image: string } | { kind: 'folder'; hash: string }
  commit?: Commit | undefined
  /** Its image or folder is gone since then: nothing rolls back to it. */
  prunedAt?: string
  createdAt: string
}

/** How it stands with the certificate of a host. Times are ISO 8601. */
export interface CertificateStatus {
  host: string
  /** A route names it now. */
  routed: boolean
  /** Whose certificate is served: the CA's, an uploaded one, or none. */
  source: 'acme' | 'own' | 'none'
  /** `refused`: nothing is asked for, see `reason`. `failing`: the last try failed, see `error`. */
  state: 'valid' | 'issuing' | 'waiting' | 'failing' | 'refused' | 'expired' | 'damaged'
  reason?: string | undefined
  /** All names that the served certificate is for. */
  names?: string[] | undefined
  issuer?: string | undefined
  /** SHA-256, as browsers show it. */
  fingerprint?: string | undefined
  notBefore?: string | undefined
  notAfter?: string | undefined
  renewAt?: string | undefined
  failures: number
  retryAt?: string | undefined
  error?: { message: string; type?: string | undefined; at: string } | undefined
}

/** Where git hosts deliver to an app, and whether it has a secret; only with one a delivery can deploy it. */
export interface WebhookStatus {
  configured: boolean
  /** By kind: `{ github: '/webhooks/github' }`. */
  paths: Record<string, string>
}

/** A delivery of a git host, as it concerned one app: what came, and what it did. Times are ISO 8601. */
export interface WebhookDelivery {
  id: string
  /** The app's id. */
  app: string
  /** `github`, `gitlab`, … */
  provider: string
  /** The id that the git host gave it. */
  delivery: string
  /** Absent where the body could not be read. */
  event?: 'push' | 'tag' | 'delete' | 'ping' | 'other' | undefined
  repository?: string | undefined
  /** Whole: `refs/heads/main`. */
  ref?: string | undefined
  commit?: string | undefined
  /** The first line of the commit's message. */
  title?: string | undefined
  pusher?: string | undefined
  /** `received`: not decided yet. After `failed` and `refused` the git host may send it again. */
  outcome: 'received' | 'queued' | 'skipped' | 'ignored' | 'ping' | 'repeated' | 'refused' | 'failed'
  /** Why it deployed nothing. */
  reason?: string | undefined
  /** The deployment that it queued. */
  deployment?: string | undefined
  /** How often the git host sent it again. */
  repeats: number
  receivedAt: string
  lastRepeatAt?: string | undefined
}

/** A page of deliveries, and what was rejected: requests whose signature fits no app are only counted, since the start. */
export interface WebhookDeliveries extends Page<WebhookDelivery> {
  rejected: {
    count: number
    lastReason?: string | undefined
    lastAt?: string | undefined
    /** How many by provider. */
    providers: Record<string, number>
  }
}

/** Which git host is told of an app's deployments; the token never comes back. */
export interface CommitStatusConnection {
  kind: 'github' | 'gitlab' | 'gitea'
  apiUrl: string
  /** ISO 8601: of deployments before it nothing is told. */
  since: string
}

/** What a git host is to say of a commit, and what it was told. Times are ISO 8601. */
export interface CommitStatus {
  commit: string
  /** The newest deployment of the commit. */
  deployment: string
  wanted: 'pending' | 'success' | 'failure' | 'error' | 'cancelled'
  description: string
  /** What the git host took last. */
  sent?: CommitStatus['wanted'] | undefined
  sentAt?: string | undefined
  /** `given-up`: not tried again before the next deployment, or before another token is set; see `fault`. */
  state: 'sending' | 'sent' | 'given-up'
  /** How often it failed in a row. */
  failures: number
  fault?: string | undefined
  retryAt?: string | undefined
}

/** Answer of `GET /api/apps/:id/commit-status`. */
export interface CommitStatuses extends Page<CommitStatus> {
  /** Absent where no git host is told. */
  connection?: CommitStatusConnection | undefined
}

/** A Lua script, as lists show it. */
export interface ScriptSummary {
  name: string
  bytes: number
  /** The hooks that it taps. */
  hooks: string[]
  enabled: boolean
  /** Why it does not run. */
  fault?: string
}

/** Whether the repository of an app brings scripts, and those in force. */
export interface RepositoryScriptsView {
  allowed: boolean
  /** Where they lie, below the folder of the app. */
  folder: string
  /** The commit whose scripts are in force; absent: none since it was allowed. */
  commit?: string
  items: { name: string; bytes: number; hooks: string[] }[]
}

/** What a dry run of a script did, and would have done. */
export interface ScriptDryRun {
  /** What a tap of the hook would have given back. */
  result?: unknown
  /** What it printed. */
  lines: string[]
  /** What it asked of Rivetr; nothing of it was done. */
  calls: { name: string; args: unknown[] }[]
  /** How many of its functions were called. */
  taps: number
}

/** Credentials for a registry of images, without the password. */
export interface RegistryLogin {
  /** `ghcr.io`, `registry.example.com:5000`. */
  registry: string
  username: string
  /** ISO 8601. */
  createdAt: string
}

/** A key that reads private repositories over ssh; its private half never comes back. */
export interface DeployKey {
  name: string
  /** As a line of authorized_keys, which is what git hosts take. */
  publicKey: string
  /** As OpenSSH prints it: `SHA256:…`. */
  fingerprint: string
  /** ISO 8601. */
  createdAt: string
}

/** A key by which a server of ssh proves who it is. */
export interface KnownHost {
  /** Absent for those that Rivetr brings along, and for those that are only shown. */
  id?: string | undefined
  host: string
  port: number
  /** Its kind and its bytes in base64: `ssh-ed25519 AAAA…`. */
  key: string
  /** As OpenSSH prints it: `SHA256:…`. */
  fingerprint: string
}

/** Answer of `GET /api/system/health`. */
export interface SystemHealth {
  healthy: boolean
  version: string
  instance: string
  plugins: Record<string, PluginState>
}

/** Answer of `GET /api/system/stats`. */
export interface SystemStatsView {
  startedAt: string
  uptimeMs: number
  process: { memoryBytes: number; cpuMs: number }
  machine: {
    cores: number
    load: number
    memoryBytes: { total: number; free: number }
    diskBytes: { total: number; free: number }
  }
}

export type { PluginInfo, PluginOffer }

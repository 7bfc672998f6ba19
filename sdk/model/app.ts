import { isIP } from 'node:net'
import { domainToASCII, domainToUnicode } from 'node:url'
import { z } from 'zod'
import { routeOptions } from './route.ts'

/** A DNS label: it becomes part of image names, labels and paths, so nothing else is let in. */
export const appName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'lower-case letters, digits and inner hyphens, at most 63')

/** A provider's name: `docker`, `builder` names and the like. */
export const providerName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,40}$/, 'lower-case letters, digits and hyphens')

/** POSIX names (IEEE Std 1003.1, 8.1). `RIVETR_*` and `PORT` are set by Rivetr. */
export const envName = z
  .string()
  .max(255)
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'letters, digits and underscores, not starting with a digit')
  .refine((name) => name !== 'PORT' && !name.startsWith('RIVETR_'), 'PORT and RIVETR_* are set by Rivetr')

/** Any text but NUL, which no process environment can carry. */
export const envValue = z
  .string()
  .max(131_072)
  .refine((value) => !value.includes('\0'), 'a NUL character cannot stand in an environment variable')

/** A path inside the repository; where it leads outside, `confine` refuses it when it is used. */
const repositoryPath = z
  .string()
  .max(1024)
  .refine(
    (path) => !path.includes('\0') && !path.startsWith('/') && !path.split('/').includes('..'),
    'a path inside the repository',
  )

/**
 * Paths of the repository of which a push must change one: `apps/web/**`, `*.ts`, `!docs/**`. `*` and `?` stay inside a
 * segment, a whole segment `**` is any number of them, `!` takes away what those before it took.
 */
export const pathPattern = z
  .string()
  .max(1024)
  .regex(
    /^!?[^/!]/,
    'a path inside the repository such as apps/web/** or !docs/**, without a slash before it',
  )
  .refine(
    (pattern) => !pattern.includes('\0') && !pattern.split('/').includes('..'),
    'a path inside the repository',
  )

/** A git branch (git-check-ref-format): nothing that git could take for an option or a revision expression. */
export const branchName = z
  .string()
  .min(1)
  .max(255)
  .refine(
    (name) =>
      !/^[-/]|[\0-\x20\x7f~^:?*[\\]|\.\.|\/\/|@\{|\.lock(\/|$)|[./]$|(^|\/)\./.test(name) && name !== '@',
    'not a branch name that git allows',
  )

/** A whole commit id: SHA-1 or SHA-256. */
export const commitId = z
  .string()
  .regex(/^([0-9a-f]{40}|[0-9a-f]{64})$/, 'a whole commit id (40 or 64 hex digits)')

/** Where the files of an app come from. */
export const sourceSettings = z.strictObject({
  kind: providerName.default('git'),
  /** Where the repository is; the source's provider decides which schemes it takes. */
  url: z
    .string()
    .min(1)
    .max(2048)
    .refine((url) => !/[\0-\x20]/.test(url) && !url.startsWith('-'), 'not an address'),
  branch: branchName.default('main'),
  /** Name of the key with which a private repository is read over ssh. */
  deployKey: providerName.optional(),
  /** The folder of the app inside the repository. */
  directory: repositoryPath.optional(),
  /** Whether submodules are fetched, too; absent: true. */
  submodules: z.boolean().optional(),
  /** Whether the content of Git LFS is fetched where files are its pointers; absent: true. */
  lfs: z.boolean().optional(),
})
export type SourceSettings = z.output<typeof sourceSettings>

/** How a replica is asked whether it is well. Times are milliseconds. */
export const healthSettings = z.strictObject({
  /** Name of a `HealthProbe`: http, tcp, command. */
  kind: providerName.default('http'),
  /** For http: the path that must answer with a status from 200 to 399. */
  path: z
    .string()
    .startsWith('/')
    .max(2048)
    .regex(/^[\x21-\x7e]*$/, 'printable ASCII')
    .default('/'),
  /** For command: run inside the replica; healthy when it exits with 0. */
  command: z.array(z.string().min(1)).min(1).optional(),
  intervalMs: z.int().min(100).max(300_000).default(1_000),
  /** How long one probe may take. */
  timeoutMs: z.int().min(100).max(60_000).default(5_000),
  /** How long a new replica may take until it is healthy. */
  deadlineMs: z.int().min(1_000).max(3_600_000).default(60_000),
  /** Healthy answers in a row that make a replica ready. */
  successes: z.int().min(1).max(20).default(1),
  /**
   * A live replica is asked on, this often at most, and started anew when it was unwell so many times in a row. Absent: of a
   * live replica it counts only whether it runs.
   */
  liveness: z
    .strictObject({
      intervalMs: z.int().min(1_000).max(300_000).default(10_000),
      failures: z.int().min(1).max(20).default(3),
    })
    .optional(),
})
export type HealthSettings = z.output<typeof healthSettings>

/** What a replica may use at most. */
export const limitSettings = z.strictObject({
  memoryBytes: z
    .int()
    .min(4 * 1024 * 1024)
    .optional(),
  /** Cores; 0.5 is half of one. */
  cpus: z.number().min(0.01).max(1024).optional(),
  /** Processes and threads. */
  pids: z.int().min(1).optional(),
})
export type LimitSettings = z.output<typeof limitSettings>

/** How many replicas of a process run, and what. */
export const processSettings = z.strictObject({
  /** An argument vector; never a shell line. Absent: what the image or Procfile says. */
  command: z.array(z.string()).min(1).optional(),
  replicas: z.int().min(0).max(100).default(1),
})
export type ProcessSettings = z.output<typeof processSettings>

const notAHostName = 'a host name such as shop.example.com, without scheme, port, path or underscore'

/**
 * A host name (RFC 1123), or `*.` and one, in any spelling; comes out as it is stored and compared: A-labels by UTS 46,
 * not transitional, in lower case, without the last dot. An IP address is none.
 */
export const hostName = z
  .string()
  .max(1_024)
  .transform((text) => aLabels(text) ?? '')
  // Last, because a transformation that ends a schema has no place in the API document.
  .refine((host) => host !== '', notAHostName)

function aLabels(text: string): string | undefined {
  const wildcard = text.startsWith('*.') ? '*.' : ''
  const name = text.slice(wildcard.length)
  // What a URL would take for something else than a name, or leave out (a tab), is not converted in the first place.
  if (/[\0-,/:-@[-`{-\x7f]/.test(name)) return undefined
  const host = wildcard + domainToASCII(name).replace(/\.$/, '')
  const labels = host.slice(wildcard.length).split('.')
  const valid = host.length <= 253 && labels.every(isLabel) && isIP(host) === 0
  return valid ? host : undefined
}

/** Letters, digits and inner hyphens; behind `xn--` what is some text's only A-label. */
function isLabel(label: string): boolean {
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label)) return false
  if (!label.startsWith('xn--')) return true
  const unicode = domainToUnicode(label)
  return unicode !== label && domainToASCII(unicode) === label
}

/** A host and a path prefix that lead to an app, and what happens on the way. */
export const routeSettings = z.strictObject({
  host: hostName,
  /** A path prefix that ends at a segment border; `/` takes every path. */
  path: z
    .string()
    .max(1024)
    .regex(/^\/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$/, 'a path such as /api')
    .default('/'),
  ...routeOptions,
})
export type RouteSettings = z.output<typeof routeSettings>

const settings = {
  name: appName,
  /** Chosen once, when the app is created; absent: the runtime that `detect` likes best. */
  runtime: providerName.optional(),
  source: sourceSettings,
  /** Name of a builder, with options that it understands; absent: the first whose `detect` says yes. */
  builder: z
    .strictObject({
      kind: providerName.optional(),
      dockerfile: repositoryPath.optional(),
      /** The stage of the Dockerfile at which the image ends: its name or number; absent: the last. */
      target: z
        .string()
        .max(128)
        .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, 'the name or number of a stage')
        .optional(),
    })
    .optional(),
  /** The port on which the app listens; it is also told by PORT. On native the port is allotted. */
  port: z.int().min(1).max(65_535).optional(),
  processes: z.record(providerName, processSettings).optional(),
  health: healthSettings.optional(),
  limits: limitSettings.optional(),
  /** Run once before the new release takes over (migrations). */
  releaseCommand: z.array(z.string()).min(1).optional(),
  /** Run once when the new release serves (warming up, telling others); that it fails is told, and takes nothing back. */
  postDeployCommand: z.array(z.string()).min(1).optional(),
  stopTimeoutMs: z.int().min(0).max(600_000).optional(),
}

/** Which pushes deploy by themselves. No part of a release: a rollback does not bring them back. */
const pushSettings = {
  /** Absent: true. False: only who asks for it deploys. */
  autoDeploy: z.boolean().optional(),
  /** Absent or empty: every push deploys. Where a push does not say what it changed, it deploys. */
  watchPaths: z.array(pathPattern).max(100).optional(),
}

/** No part of an app: how it is saved. */
const savingSettings = {
  /** Whether it is asked first if the source can be read; absent: true. */
  check: z.boolean().optional(),
}

/** What `POST /api/apps` takes. */
export const appDraft = z.strictObject({
  ...settings,
  ...pushSettings,
  ...savingSettings,
  env: z.record(envName, z.strictObject({ value: envValue, secret: z.boolean().default(false) })).optional(),
  routes: z.array(routeSettings).max(100).optional(),
})
export type AppDraft = z.output<typeof appDraft>
/** The same before defaults: what a client sends. */
export type AppInput = z.input<typeof appDraft>

/** What `PUT /api/apps/:id` takes: fields that are absent stay, null clears. The runtime stays for ever. */
export const appChange = z.strictObject({
  name: appName.optional(),
  source: sourceSettings.optional(),
  ...pushSettings,
  ...savingSettings,
  builder: settings.builder.nullable(),
  port: settings.port.nullable(),
  processes: settings.processes.nullable(),
  health: settings.health.nullable(),
  limits: settings.limits.nullable(),
  releaseCommand: settings.releaseCommand.nullable(),
  postDeployCommand: settings.postDeployCommand.nullable(),
  stopTimeoutMs: settings.stopTimeoutMs.nullable(),
})
export type AppChange = z.output<typeof appChange>

/** The settings of an app that a release remembers, so that a rollback brings them back. */
export const appSettings = z.object({
  builder: settings.builder,
  port: settings.port,
  processes: settings.processes,
  health: settings.health,
  limits: settings.limits,
  releaseCommand: settings.releaseCommand,
  postDeployCommand: settings.postDeployCommand,
  stopTimeoutMs: settings.stopTimeoutMs,
})
export type AppSettings = z.output<typeof appSettings>

/**
 * Every state of an app. `new`: nothing was deployed yet. `starting`: a replica of the live release is not ready.
 * `crash-loop`: one ended again and again, and is started after growing pauses. `stopped`: somebody stopped it.
 */
export const appStates = ['new', 'starting', 'running', 'crash-loop', 'stopped'] as const
/** What an app does now. */
export type AppState = (typeof appStates)[number]

/** An app, as the API shows it. */
export const appSchema = appSettings.extend({
  id: z.string(),
  name: z.string(),
  state: z.enum(appStates),
  /** What is wrong, in words: which replica ended how often, and how. */
  stateReason: z.string().optional(),
  runtime: z.string(),
  /** Why this runtime; absent where whoever created the app named it. */
  runtimeReason: z.string().optional(),
  source: sourceSettings,
  /** Whether a push deploys by itself. */
  autoDeploy: z.boolean(),
  /** Paths of which a push must change one; empty: any. */
  watchPaths: z.array(z.string()),
  routes: z.array(routeSettings),
  /** The release that serves; absent before the first deployment. */
  live: z.object({ release: z.int(), deployment: z.string(), commit: z.string().optional() }).optional(),
  /** True when env was changed since the live release was made. */
  restartNeeded: z.boolean(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
})
export type App = z.output<typeof appSchema>

/** An environment variable, as the API shows it. */
export const envEntry = z.object({
  name: z.string(),
  secret: z.boolean(),
  /** Absent for a secret: its value never comes back. */
  value: z.string().optional(),
  updatedAt: z.iso.datetime(),
})
export type EnvEntry = z.output<typeof envEntry>

/** What `PUT /api/apps/:id/env` takes. */
export const envChange = z
  .strictObject({
    set: z
      .record(envName, z.strictObject({ value: envValue, secret: z.boolean().default(false) }))
      .default({}),
    unset: z.array(envName).default([]),
    /** Revokes every earlier value of the secrets in `set`: an earlier release that is brought back gets the newest one. */
    revokeEarlier: z.boolean().default(false),
  })
  // Only a new value can stand in for the revoked ones; without it neither a rollback nor a restart of a replica could go on.
  .superRefine(({ set, revokeEarlier }, { addIssue }) => {
    if (!revokeEarlier) return
    for (const [name, { secret }] of Object.entries(set))
      if (!secret)
        addIssue({
          code: 'custom',
          path: ['set', name],
          message: 'only a secret has earlier values that can be revoked',
        })
  })
export type EnvChange = z.output<typeof envChange>

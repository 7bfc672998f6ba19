import { z } from 'zod'

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
  /** The folder of the app inside the repository. */
  directory: repositoryPath.optional(),
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

/** RFC 1123 host name, or `*.` and one. Lower-cased, one trailing dot removed. */
export const hostName = z
  .string()
  .transform((host) => host.toLowerCase().replace(/\.$/, ''))
  .refine(
    (host) =>
      host.length <= 253 &&
      /^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(host),
    'a host name such as shop.example.com, without scheme, port or path',
  )

/** A host and a path prefix that lead to an app. */
export const routeSettings = z.strictObject({
  host: hostName,
  /** A path prefix that ends at a segment border; `/` takes every path. */
  path: z
    .string()
    .max(1024)
    .regex(/^\/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$/, 'a path such as /api')
    .default('/'),
})
export type RouteSettings = z.output<typeof routeSettings>

const settings = {
  name: appName,
  /** Chosen once, when the app is created; absent: the runtime that `detect` likes best. */
  runtime: providerName.optional(),
  source: sourceSettings,
  /** Name of a builder, with options that it understands; absent: the first whose `detect` says yes. */
  builder: z
    .strictObject({ kind: providerName.optional(), dockerfile: repositoryPath.optional() })
    .optional(),
  /** The port on which the app listens; it is also told by PORT. On native the port is allotted. */
  port: z.int().min(1).max(65_535).optional(),
  processes: z.record(providerName, processSettings).optional(),
  health: healthSettings.optional(),
  limits: limitSettings.optional(),
  /** Run once before the new release takes over (migrations). */
  releaseCommand: z.array(z.string()).min(1).optional(),
  stopTimeoutMs: z.int().min(0).max(600_000).optional(),
}

/** What `POST /api/apps` takes. */
export const appDraft = z.strictObject({
  ...settings,
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
  builder: settings.builder.nullable(),
  port: settings.port.nullable(),
  processes: settings.processes.nullable(),
  health: settings.health.nullable(),
  limits: settings.limits.nullable(),
  releaseCommand: settings.releaseCommand.nullable(),
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
  stopTimeoutMs: settings.stopTimeoutMs,
})
export type AppSettings = z.output<typeof appSettings>

/** An app, as the API shows it. */
export const appSchema = appSettings.extend({
  id: z.string(),
  name: z.string(),
  runtime: z.string(),
  source: sourceSettings,
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
export const envChange = z.strictObject({
  set: z.record(envName, z.strictObject({ value: envValue, secret: z.boolean().default(false) })).default({}),
  unset: z.array(envName).default([]),
})
export type EnvChange = z.output<typeof envChange>

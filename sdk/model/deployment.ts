import { z } from 'zod'

/** Every state of a deployment; the kernel has the table of transitions. */
export const deploymentStates = [
  'queued',
  'waiting',
  'fetching',
  'building',
  'preparing',
  'starting',
  'checking',
  'switching',
  'live',
  'retired',
  'failed',
  'cancelled',
  'superseded',
] as const
/** A state of a deployment. */
export type DeploymentState = (typeof deploymentStates)[number]

/** The steps in their order; the last two run side by side when the deployment is live: the post-deploy command, and retire. */
export const steps = [
  'fetch',
  'build',
  'prepare',
  'start',
  'check',
  'switch',
  'postDeploy',
  'retire',
] as const
/** A step of the pipeline. */
export type Step = (typeof steps)[number]

/** What may set a deployment off. */
export const triggerKinds = ['push', 'manual', 'rollback', 'restart', 'schedule'] as const
/** What set a deployment off. */
export type TriggerKind = (typeof triggerKinds)[number]

/** starting → ready → draining → stopped, or crashed. */
export const replicaStates = ['starting', 'ready', 'draining', 'stopped', 'crashed'] as const
/** A state of a replica. */
export type ReplicaState = (typeof replicaStates)[number]

/** A commit: its whole id, and what is known of it. */
export const commitSchema = z.object({
  id: z.string(),
  message: z.string().optional(),
  author: z.string().optional(),
})
export type Commit = z.output<typeof commitSchema>

/** Shape of an endpoint. */
export const endpointSchema = z.object({ address: z.string(), port: z.int() })
/** Where a replica answers: an IP address and a port. */
export type Endpoint = z.output<typeof endpointSchema>

/** A replica, as the API shows it. */
export const replicaSchema = z.object({
  id: z.string(),
  process: z.string(),
  state: z.enum(replicaStates),
  endpoint: endpointSchema.optional(),
  exitCode: z.int().optional(),
  /** Ended by the memory limit. */
  oom: z.boolean().optional(),
  /** How often in a row it ended by itself while its release was live, and how the last time; absent: never, or long ago. */
  fallen: z
    .object({
      times: z.int(),
      exitCode: z.int(),
      oom: z.boolean(),
      /** What was found, where Rivetr ended it because it was unwell. */
      unwell: z.string().optional(),
      at: z.iso.datetime(),
    })
    .optional(),
})
export type Replica = z.output<typeof replicaSchema>

/** A step that was entered, and how it ended. */
export const stepRecord = z.object({
  step: z.enum(steps),
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().optional(),
  outcome: z.enum(['running', 'done', 'failed', 'cancelled']),
})
export type StepRecord = z.output<typeof stepRecord>

/** A deployment, as the API shows it. */
export const deploymentSchema = z.object({
  id: z.string(),
  app: z.object({ id: z.string(), name: z.string() }),
  state: z.enum(deploymentStates),
  trigger: z.object({
    kind: z.enum(triggerKinds),
    /** Who asked for it. */
    by: z.string(),
    /** Why, in words: "push to main", "found while comparing heads". */
    reason: z.string().optional(),
  }),
  commit: commitSchema.optional(),
  /** The number of the release that it yields or brings back. */
  release: z.int().optional(),
  attempt: z.int(),
  /** Why it failed, waits, was cancelled or superseded. */
  reason: z.string().optional(),
  error: z.object({ code: z.string(), message: z.string(), step: z.enum(steps).optional() }).optional(),
  /** The last lines of the replica or build that failed. */
  lastLines: z.array(z.string()),
  resumeAt: z.iso.datetime().optional(),
  steps: z.array(stepRecord),
  replicas: z.array(replicaSchema),
  requestId: z.string().optional(),
  createdAt: z.iso.datetime(),
  endedAt: z.iso.datetime().optional(),
})
export type Deployment = z.output<typeof deploymentSchema>

/** An immutable outcome of a deployment, numbered per app from 1. */
export interface Release {
  readonly id: string
  readonly appId: string
  readonly number: number
  readonly artefact: Artefact
  readonly processes: Readonly<Record<string, RunSpec>>
  readonly commit?: Commit | undefined
  /** ISO 8601: its image or folder was removed then, and a rollback to it is refused. */
  readonly prunedAt?: string | undefined
  readonly createdAt: string
}

/** What a build makes: an image of the engine, or a folder for native. */
export type Artefact =
  | { readonly kind: 'oci' /** Image id (`sha256:…`), the identity. */; readonly image: string }
  | {
      readonly kind: 'folder' /** Absolute path. */
      readonly path: string /** SHA-256 over the tree. */
      readonly hash: string
    }

/** `oci` or `folder`. */
export type ArtefactKind = Artefact['kind']

/** How one process of a release is run. Plain data; a `specResolve` tap may change it before the release is saved. */
export interface RunSpec {
  readonly process: string
  readonly replicas: number
  /** Argument vector; absent: what the image says. */
  readonly command?: readonly string[] | undefined
  /** The port on which it listens; absent for a process that takes no traffic. */
  readonly port?: number | undefined
  readonly limits: {
    readonly memoryBytes?: number | undefined
    readonly cpus?: number | undefined
    readonly pids?: number | undefined
  }
  readonly stopTimeoutMs: number
}

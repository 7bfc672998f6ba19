import {
  type AppSettings,
  type Artefact,
  type Commit,
  type DeploymentState,
  defineEntity,
  p,
  type ReplicaState,
  type RunSpec,
  type Step,
  type StepRecord,
  type TriggerKind,
} from '@rivetr/sdk'

export const DeploymentRow = defineEntity({
  name: 'Deployment',
  tableName: 'deployments',
  properties: {
    /** UUID v7: grows with time, so it is the order of the queue and the cursor of lists. */
    id: p.string().primary(),
    app: p.string().index(),
    state: p.string().$type<DeploymentState>().index(),
    trigger: p.string().$type<TriggerKind>(),
    by: p.string(),
    triggerReason: p.text().nullable(),
    commit: p.json<Commit>().nullable(),
    /** The release that it made, or brings back. */
    release: p.string().nullable(),
    attempt: p.integer(),
    /** Gates that somebody let it pass. */
    promoted: p.json<string[]>(),
    /** The gate for which it waits: what a promotion lets it pass. */
    waitsFor: p.string().nullable(),
    reason: p.text().nullable(),
    error: p.json<{ code: string; message: string; step?: Step }>().nullable(),
    lastLines: p.json<string[]>(),
    resumeAt: p.string().nullable(),
    requestId: p.string().nullable(),
    createdAt: p.string(),
    endedAt: p.string().nullable(),
  },
})

/** A step that was entered. Written before the step acts; without an end it was interrupted. */
export const StepRow = defineEntity({
  name: 'Step',
  tableName: 'steps',
  properties: {
    id: p.string().primary(),
    deployment: p.string().index(),
    attempt: p.integer(),
    step: p.string().$type<Step>(),
    outcome: p.string().$type<StepRecord['outcome']>(),
    startedAt: p.string(),
    endedAt: p.string().nullable(),
  },
})

/** Env of a release: plain values by value, secrets as `name@version` of a scope. */
export type EnvSnapshot = Record<string, { value: string } | { secret: string }>

export const ReleaseRow = defineEntity({
  name: 'Release',
  tableName: 'releases',
  uniques: [{ properties: ['app', 'number'] }],
  properties: {
    id: p.string().primary(),
    app: p.string(),
    number: p.integer(),
    deployment: p.string(),
    artefact: p.json<Artefact>(),
    processes: p.json<Record<string, RunSpec>>(),
    releaseCommand: p.json<string[]>().nullable(),
    env: p.json<EnvSnapshot>(),
    settings: p.json<AppSettings>(),
    commit: p.json<Commit>().nullable(),
    createdAt: p.string(),
    /** When its image or folder was given up by retention. */
    prunedAt: p.string().nullable(),
  },
})

/** How a live replica ended; `unwell`: what was found, where Rivetr ended it. */
export interface LastExit {
  readonly exitCode: number
  readonly oom: boolean
  readonly unwell?: string
}

export const ReplicaRow = defineEntity({
  name: 'Replica',
  tableName: 'replicas',
  properties: {
    id: p.string().primary(),
    app: p.string().index(),
    deployment: p.string().index(),
    release: p.string(),
    runtime: p.string(),
    process: p.string(),
    index: p.integer(),
    state: p.string().$type<ReplicaState>().index(),
    address: p.string().nullable(),
    port: p.integer().nullable(),
    exitCode: p.integer().nullable(),
    oom: p.boolean(),
    /** How often in a row it ended by itself while its release was live, when, and how the last time. */
    falls: p.integer().default(0),
    fellAt: p.string().nullable(),
    lastExit: p.json<LastExit>().nullable(),
    createdAt: p.string(),
    endedAt: p.string().nullable(),
  },
})

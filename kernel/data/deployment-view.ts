import type { InferEntity } from '@mikro-orm/core'
import type { Deployment, Replica, Rows } from '@rivetr/sdk'
import { AppRow, type DeploymentRow, ReleaseRow, ReplicaRow, StepRow } from './entities/index.ts'

type Row = InferEntity<typeof DeploymentRow>

/** Deployments as the contract shows them; four queries however many there are. */
export async function deploymentViews(rows: Rows, deployments: readonly Row[]): Promise<Deployment[]> {
  const ids = deployments.map(({ id }) => id)
  const releaseIds = deployments.flatMap(({ release }) => release ?? [])
  const [apps, steps, replicas, releases] = [
    await rows.find(AppRow, { id: { $in: [...new Set(deployments.map(({ app }) => app))] } }),
    await rows.find(StepRow, { deployment: { $in: ids } }, { orderBy: { id: 'asc' } }),
    await rows.find(ReplicaRow, { deployment: { $in: ids } }, { orderBy: { id: 'asc' } }),
    await rows.find(ReleaseRow, { id: { $in: releaseIds } }),
  ]
  const names = new Map(apps.map(({ id, name }) => [id, name]))
  const numbers = new Map(releases.map(({ id, number }) => [id, number]))
  return deployments.map((row) => ({
    id: row.id,
    app: { id: row.app, name: names.get(row.app) ?? row.app },
    state: row.state,
    trigger: { kind: row.trigger, by: row.by, ...present('reason', row.triggerReason) },
    ...present('commit', row.commit),
    ...present('release', row.release ? numbers.get(row.release) : null),
    attempt: row.attempt,
    ...present('reason', row.reason),
    ...present('error', row.error),
    lastLines: row.lastLines,
    ...present('resumeAt', row.resumeAt),
    steps: steps
      .filter(({ deployment }) => deployment === row.id)
      .map(({ step, outcome, startedAt, endedAt }) => ({
        step,
        outcome,
        startedAt,
        ...present('endedAt', endedAt),
      })),
    replicas: replicas.filter(({ deployment }) => deployment === row.id).map(replicaView),
    ...present('requestId', row.requestId),
    createdAt: row.createdAt,
    ...present('endedAt', row.endedAt),
  }))
}

export function replicaView(row: InferEntity<typeof ReplicaRow>): Replica {
  return {
    id: row.id,
    process: row.process,
    state: row.state,
    ...(row.address && row.port ? { endpoint: { address: row.address, port: row.port } } : {}),
    ...present('exitCode', row.exitCode),
    ...(row.oom ? { oom: true } : {}),
    ...(row.falls > 0 && row.fellAt && row.lastExit
      ? { fallen: { times: row.falls, ...row.lastExit, at: row.fellAt } }
      : {}),
  }
}

/** A field that is there when it has a value: a row's null is the contract's absence. */
export function present<K extends string, V>(key: K, value: V | null | undefined): { [P in K]?: V } {
  return value === null || value === undefined ? {} : ({ [key]: value } as { [P in K]?: V })
}

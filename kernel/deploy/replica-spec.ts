import type { InferEntity } from '@mikro-orm/core'
import { type Env, type Release, type ReplicaSpec, RivetrError, type RunSpec } from '@rivetr/sdk'
import { present } from '../data/deployment-view.ts'
import type { ReleaseRow } from '../data/entities/index.ts'
import type { ReplicaRecord } from './ledger.ts'

export type ReleaseRecord = InferEntity<typeof ReleaseRow>

/** The replica of a row, as a runtime starts it: always the same for the same rows. */
export function replicaSpec(
  app: { id: string; name: string },
  replica: ReplicaRecord,
  release: ReleaseRecord,
  env: Env,
): ReplicaSpec {
  const run = release.processes[replica.process]
  if (run === undefined)
    throw new RivetrError(
      'internal',
      `release v${release.number} of ${app.name} has no process "${replica.process}"`,
    )
  const endpoint =
    replica.address && replica.port ? { address: replica.address, port: replica.port } : undefined
  return {
    id: replica.id,
    app: { id: app.id, name: app.name },
    deployment: replica.deployment,
    release: release.number,
    artefact: release.artefact,
    run,
    env: {
      ...plain(env),
      ...platformEnv(app, release),
      ...(endpoint === undefined ? {} : { PORT: String(endpoint.port) }),
    },
    endpoint,
  }
}

/** The one-off replica of a release command. */
export function releaseCommandSpec(
  id: string,
  app: { id: string; name: string },
  deployment: string,
  release: ReleaseRecord,
  command: readonly string[],
  env: Env,
): ReplicaSpec {
  const [model] = Object.values(release.processes)
  const run: RunSpec = {
    process: 'release',
    replicas: 1,
    command,
    limits: model?.limits ?? {},
    stopTimeoutMs: model?.stopTimeoutMs ?? 10_000,
  }
  return {
    id,
    app: { id: app.id, name: app.name },
    deployment,
    release: release.number,
    artefact: release.artefact,
    run,
    env: { ...plain(env), ...platformEnv(app, release) },
  }
}

export function releaseView(row: ReleaseRecord): Release {
  return {
    id: row.id,
    appId: row.app,
    number: row.number,
    artefact: row.artefact,
    processes: row.processes,
    ...present('commit', row.commit),
    ...present('prunedAt', row.prunedAt),
    createdAt: row.createdAt,
  }
}

function plain(env: Env): Record<string, string> {
  return Object.fromEntries(Object.entries(env).map(([name, { value }]) => [name, value]))
}

function platformEnv(app: { name: string }, release: ReleaseRecord): Record<string, string> {
  return {
    RIVETR_APP: app.name,
    RIVETR_RELEASE: `v${release.number}`,
    ...(release.commit ? { RIVETR_COMMIT: release.commit.id } : {}),
  }
}

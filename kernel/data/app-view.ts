import type { InferEntity } from '@mikro-orm/core'
import type { App, AppState, Rows } from '@rivetr/sdk'
import { present } from './deployment-view.ts'
import {
  type AppRow,
  DeploymentRow,
  type LastExit,
  ReleaseRow,
  ReplicaRow,
  RouteRow,
} from './entities/index.ts'
import { shownOptions } from './route-options.ts'

type Row = InferEntity<typeof AppRow>
type Replica = InferEntity<typeof ReplicaRow>

/** From so many ends in a row on it is a crash loop. */
export const loopFalls = 3

/** Apps as the contract shows them; four queries however many there are. */
export async function appViews(rows: Rows, apps: readonly Row[]): Promise<App[]> {
  const ids = apps.map(({ id }) => id)
  const routes = await rows.find(RouteRow, { app: { $in: ids } }, { orderBy: { host: 'asc', path: 'asc' } })
  const deployments = await rows.find(DeploymentRow, {
    id: { $in: apps.flatMap(({ liveDeployment }) => liveDeployment ?? []) },
  })
  const releases = await rows.find(ReleaseRow, {
    id: { $in: deployments.flatMap(({ release }) => release ?? []) },
  })
  const replicas = await rows.find(ReplicaRow, {
    deployment: { $in: deployments.map(({ id }) => id) },
    state: { $in: ['starting', 'ready'] },
  })
  const replicasOf = Map.groupBy(replicas, ({ app }) => app)
  const releaseById = new Map(releases.map((release) => [release.id, release]))
  const releaseOf = new Map(deployments.map(({ id, release }) => [id, releaseById.get(release ?? '')]))
  const routesOf = Map.groupBy(routes, ({ app }) => app)
  return apps.map((row) => {
    const release = row.liveDeployment ? releaseOf.get(row.liveDeployment) : undefined
    return {
      id: row.id,
      name: row.name,
      ...stateOf(row, replicasOf.get(row.id) ?? []),
      runtime: row.runtime,
      ...present('runtimeReason', row.runtimeReason),
      source: row.source,
      autoDeploy: row.autoDeploy,
      watchPaths: row.watchPaths,
      ...row.settings,
      routes: (routesOf.get(row.id) ?? []).map(({ host, path, options }) => ({
        host,
        path,
        ...shownOptions(options),
      })),
      ...(release === undefined || !row.liveDeployment
        ? {}
        : {
            live: {
              release: release.number,
              deployment: row.liveDeployment,
              ...present('commit', release.commit?.id),
            },
          }),
      restartNeeded: release !== undefined && (row.envChangedAt ?? '') > release.createdAt,
      createdAt: row.createdAt,
      updatedAt: row.updatedAt,
    }
  })
}

/** By its live replicas. */
function stateOf(app: Row, live: readonly Replica[]): { state: AppState; stateReason?: string } {
  if (app.stopped) return { state: 'stopped' }
  if (!app.liveDeployment) return { state: 'new' }
  const worst = live.reduce<Replica | undefined>(
    (worst, each) => (each.falls > (worst?.falls ?? 0) ? each : worst),
    undefined,
  )
  const reason = worst?.lastExit
    ? {
        stateReason: `${worst.process}.${worst.index + 1} ended ${worst.falls === 1 ? 'once' : `${worst.falls} times in a row`}, ${worst.falls === 1 ? '' : 'the last time '}${exitText(worst.lastExit)}`,
      }
    : {}
  if ((worst?.falls ?? 0) >= loopFalls) return { state: 'crash-loop', ...reason }
  return { state: live.some(({ state }) => state === 'starting') ? 'starting' : 'running', ...reason }
}

/** How a replica ended, in words. */
export function exitText({ exitCode, oom, unwell }: LastExit): string {
  if (unwell !== undefined) return `because it was unwell: ${unwell}`
  return `with exit code ${exitCode}${oom ? ' (out of memory)' : ''}`
}

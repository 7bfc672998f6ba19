import type { InferEntity } from '@mikro-orm/core'
import type { App, Rows } from '@rivetr/sdk'
import { present } from './deployment-view.ts'
import { type AppRow, DeploymentRow, ReleaseRow, RouteRow } from './entities/index.ts'

type Row = InferEntity<typeof AppRow>

/** Apps as the contract shows them; three queries however many there are. */
export async function appViews(rows: Rows, apps: readonly Row[]): Promise<App[]> {
  const ids = apps.map(({ id }) => id)
  const routes = await rows.find(RouteRow, { app: { $in: ids } }, { orderBy: { host: 'asc', path: 'asc' } })
  const deployments = await rows.find(DeploymentRow, {
    id: { $in: apps.flatMap(({ liveDeployment }) => liveDeployment ?? []) },
  })
  const releases = await rows.find(ReleaseRow, {
    id: { $in: deployments.flatMap(({ release }) => release ?? []) },
  })
  const releaseById = new Map(releases.map((release) => [release.id, release]))
  const releaseOf = new Map(deployments.map(({ id, release }) => [id, releaseById.get(release ?? '')]))
  const routesOf = Map.groupBy(routes, ({ app }) => app)
  return apps.map((row) => {
    const release = row.liveDeployment ? releaseOf.get(row.liveDeployment) : undefined
    return {
      id: row.id,
      name: row.name,
      runtime: row.runtime,
      source: row.source,
      ...row.settings,
      routes: (routesOf.get(row.id) ?? []).map(({ host, path }) => ({ host, path })),
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

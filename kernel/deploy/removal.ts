import { type App, messageOf } from '@rivetr/sdk'
import {
  AppRow,
  DeploymentRow,
  EnvRow,
  ReleaseRow,
  ReplicaRow,
  RouteRow,
  StepRow,
} from '../data/entities/index.ts'
import { errorFields } from '../host/logger.ts'
import type { DeployParts } from './parts.ts'
import type { Queue } from './queue.ts'
import { finalStates } from './states.ts'

/** Everything of an app goes: routes first, so that nothing is sent to what ends; the rows last, so that a crash can be repeated. */
export async function removeApp(parts: DeployParts, queue: Queue, app: App): Promise<void> {
  const { database, ledger, providers, tables, secrets, workspaces, logs, appLogs, collector, log } = parts
  await database.rows.nativeDelete(RouteRow, { app: app.id })
  await tables.publish()
  for (const { id } of await ledger.find({ app: app.id, state: { $nin: [...finalStates] } })) {
    if (!(await queue.interrupt(id, 'the removal of the app')))
      await ledger.move(id, ['queued', 'waiting'], 'cancelled', { reason: 'the app was removed' })
  }
  await database.rows.nativeUpdate(AppRow, { id: app.id }, { liveDeployment: null })
  const runtime = providers.runtime(app.runtime)
  for (const replica of await runtime.list(AbortSignal.timeout(30_000)))
    if (replica.appId === app.id) await runtime.remove(replica.id)
  await collector.leave(app.id)
  await appLogs.remove(app.id)
  const images = providers.images(app.runtime)
  for (const image of (await images?.list()) ?? []) {
    if (image.appId !== app.id) continue
    await images
      ?.remove(image.id)
      .catch((error: unknown) =>
        log.warn(`the image ${image.id} of ${app.name} stays: ${messageOf(error)}`, errorFields(error)),
      )
  }
  await workspaces.removeApp(app.id)
  const deployments = (await ledger.find({ app: app.id })).map(({ id }) => id)
  for (const id of deployments) await logs.remove(id)
  await secrets.remove(app.id)
  await database.transaction(async (rows) => {
    await rows.nativeDelete(StepRow, { deployment: { $in: deployments } })
    for (const entity of [ReplicaRow, ReleaseRow, DeploymentRow, EnvRow] as const)
      await rows.nativeDelete(entity as typeof EnvRow, { app: app.id })
    await rows.nativeDelete(AppRow, { id: app.id })
  })
}

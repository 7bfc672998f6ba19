import { basename } from 'node:path'
import { type Artefact, messageOf, type Rows } from '@rivetr/sdk'
import { AppRow, DeploymentRow, ReleaseRow, ReplicaRow, StepRow } from '../data/entities/index.ts'
import { errorFields } from '../host/logger.ts'
import { artefactKey } from './artefact.ts'
import type { DeployParts } from './parts.ts'
import type { ReleaseRecord } from './replica-spec.ts'
import { finalStates } from './states.ts'

const firstMs = 10 * 60_000
const dayMs = 24 * 60 * 60_000

/** Once a day, for what no deployment has trimmed since: an engine may have been away when it should have been. */
export async function trimDaily(parts: DeployParts, stopping: AbortSignal): Promise<void> {
  const { clock, database, log } = parts
  for (let pauseMs = firstMs; !stopping.aborted; pauseMs = dayMs) {
    await clock.sleep(pauseMs, stopping).catch(() => undefined)
    if (stopping.aborted) return
    try {
      for (const { id } of await database.rows.find(AppRow, {})) await trimApp(parts, id)
      await trimWorkspaces(parts)
    } catch (error) {
      log.error('what is old was not trimmed', errorFields(error))
    }
  }
}

/** Removes what an app keeps no longer: images and folders of old releases, rows and logs of old deployments. */
export async function trimApp(parts: DeployParts, app: string): Promise<void> {
  const { database } = parts
  const { pruned, kept } = await database.transaction((rows) => pruneReleases(parts, rows, app))
  const serving = new Set(kept.map(({ artefact }) => artefactKey(artefact)))
  await removeArtefacts(
    parts,
    app,
    pruned.map(({ artefact }) => artefact).filter((artefact) => !serving.has(artefactKey(artefact))),
  )
  await trimDeployments(parts, app)
}

/** Marks releases outside of the window, before anything of theirs goes: from then on a rollback to them is refused. */
async function pruneReleases(
  { config, ledger }: DeployParts,
  rows: Rows,
  app: string,
): Promise<{ pruned: ReleaseRecord[]; kept: ReleaseRecord[] }> {
  const releases = await rows.find(ReleaseRow, { app }, { orderBy: { number: 'desc' } })
  const row = await rows.findOne(AppRow, { id: app })
  const wanted = await rows.find(DeploymentRow, {
    app,
    $or: [{ state: { $nin: [...finalStates] } }, { id: row?.liveDeployment ?? '' }],
  })
  const standing = await rows.find(ReplicaRow, { app, state: { $in: ['starting', 'ready', 'draining'] } })
  const needed = new Set([...wanted.map(({ release }) => release), ...standing.map(({ release }) => release)])
  const isKept = ({ id, prunedAt }: ReleaseRecord, place: number) =>
    !prunedAt && (place < config.keepReleases || needed.has(id))
  const pruned = releases.filter((release, place) => !isKept(release, place))
  const prunedNow = pruned.filter(({ prunedAt }) => !prunedAt).map(({ id }) => id)
  await rows.nativeUpdate(ReleaseRow, { id: { $in: prunedNow } }, { prunedAt: ledger.now() })
  return { pruned, kept: releases.filter(isKept) }
}

/** Also those of earlier times that could not be removed then: an engine that is away, an image in use. */
async function removeArtefacts(parts: DeployParts, app: string, artefacts: Artefact[]): Promise<void> {
  const { workspaces, providers, ledger, log } = parts
  for (const artefact of artefacts)
    if (artefact.kind === 'folder') await workspaces.removeArtefact(app, basename(artefact.path))
  const wanted = new Set(artefacts.flatMap((each) => (each.kind === 'oci' ? [each.image] : [])))
  if (wanted.size === 0) return
  const images = providers.images((await ledger.app(app)).runtime)
  try {
    for (const { id, appId } of (await images?.list()) ?? [])
      if (appId === app && wanted.has(id))
        await images
          ?.remove(id)
          .catch((error: unknown) => log.info(`an old image stays: ${messageOf(error)}`))
  } catch (error) {
    log.info(`old images stay for the next time: ${messageOf(error)}`)
  }
}

/** All but the newest, those that are needed, and those whose release can still be brought back. */
async function trimDeployments(
  { config, database, logs, workspaces }: DeployParts,
  app: string,
): Promise<void> {
  const old = await database.transaction(async (rows) => {
    const deployments = await rows.find(DeploymentRow, { app }, { orderBy: { id: 'desc' } })
    const releases = await rows.find(ReleaseRow, { app, prunedAt: null })
    const standing = await rows.find(ReplicaRow, { app, state: { $in: ['starting', 'ready', 'draining'] } })
    const needed = new Set([
      ...releases.map(({ deployment }) => deployment),
      ...standing.map(({ deployment }) => deployment),
      (await rows.findOne(AppRow, { id: app }))?.liveDeployment,
    ])
    const ids = deployments
      .slice(config.keepDeployments)
      .filter(({ id, state }) => finalStates.includes(state) && !needed.has(id))
      .map(({ id }) => id)
    const among = { deployment: { $in: ids } }
    await rows.nativeDelete(StepRow, among)
    await rows.nativeDelete(ReplicaRow, among)
    await rows.nativeDelete(DeploymentRow, { id: { $in: ids } })
    return ids
  })
  for (const id of old) {
    await logs.remove(id)
    await workspaces.remove(id)
  }
}

/** Folders that a crash or a full disk left, of deployments that have ended. */
async function trimWorkspaces({ workspaces, ledger }: DeployParts): Promise<void> {
  for (const id of await workspaces.list()) {
    const [deployment] = await ledger.find({ id })
    if (deployment === undefined || finalStates.includes(deployment.state)) await workspaces.remove(id)
  }
}

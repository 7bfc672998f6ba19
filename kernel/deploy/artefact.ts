import { stat } from 'node:fs/promises'
import { type Artefact, RivetrError } from '@rivetr/sdk'
import type { DeployParts } from './parts.ts'
import type { ReleaseRecord } from './replica-spec.ts'

/** By identity, before anything is touched: a release whose image or folder is gone is refused. Errors: `conflict`. */
export async function assertArtefact(
  { providers, config }: DeployParts,
  runtime: string,
  { artefact, number, commit, prunedAt }: ReleaseRecord,
): Promise<void> {
  const instead = commit
    ? `; deploy its commit ${commit.id} again instead`
    : '; deploy its commit again instead'
  if (prunedAt)
    throw new RivetrError(
      'conflict',
      `release v${number} was removed: the newest ${config.keepReleases} are kept (keep_releases)${instead}`,
    )
  if (artefact.kind === 'folder') {
    const found = await stat(artefact.path).catch(() => undefined)
    if (found?.isDirectory()) return
    throw new RivetrError('conflict', `the folder of release v${number} (${artefact.path}) is gone${instead}`)
  }
  const images = providers.images(runtime)
  if (images === undefined) throw new RivetrError('unavailable', `the runtime ${runtime} has no images now`)
  if ((await images.find(artefact.image)) === undefined)
    throw new RivetrError(
      'conflict',
      `the image of release v${number} (${artefact.image}) is gone from the engine${instead}`,
    )
}

/** What two releases have in common that run the same artefact: a restart makes a release, and no image. */
export function artefactKey(artefact: Artefact): string {
  return artefact.kind === 'oci' ? artefact.image : artefact.path
}

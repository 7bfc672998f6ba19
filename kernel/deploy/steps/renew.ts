import { randomUUIDv7 } from 'node:crypto'
import { RivetrError } from '@rivetr/sdk'
import { DeploymentRow, ReleaseRow } from '../../data/entities/index.ts'
import { currentEnv, snapshotEnv } from '../../data/env.ts'
import type { Run } from '../run.ts'

/** A restart: a new release of the same artefact with the env as it is now. */
export async function renewRelease(run: Run): Promise<void> {
  if (run.release !== undefined) return // made by an attempt before this one
  const { ledger, database, secrets, hooks } = run.parts
  const { liveDeployment } = await ledger.app(run.app.id)
  const live = liveDeployment
    ? await ledger.release((await ledger.get(liveDeployment)).release ?? '')
    : undefined
  if (live === undefined)
    throw new RivetrError('conflict', `${run.app.name} has no release to restart; deploy it first`)
  const env = await hooks.call('envResolve', await currentEnv(database.rows, secrets, run.app.id), {
    deploy: run.payload,
    for: 'run',
  })
  const snapshot = await snapshotEnv(database.rows, secrets, run.app.id, env)
  const id = randomUUIDv7()
  await database.transaction(async (rows) => {
    const [last] = await rows.find(ReleaseRow, { app: run.app.id }, { orderBy: { number: 'desc' }, limit: 1 })
    const { artefact, processes, releaseCommand, settings, commit } = live
    const number = (last?.number ?? 0) + 1
    await rows.insert(ReleaseRow, {
      id,
      app: run.app.id,
      number,
      deployment: run.id,
      artefact,
      processes,
      releaseCommand: releaseCommand ?? null,
      env: snapshot,
      settings,
      commit: commit ?? null,
      createdAt: ledger.now(),
    })
    await rows.nativeUpdate(DeploymentRow, { id: run.id }, { release: id, commit: commit ?? null })
  })
  run.release = await ledger.release(id)
  run.say(`release v${run.release?.number}: v${live.number} with the env as it is now`)
}

import { randomUUID } from 'node:crypto'
import { RivetrError } from '@rivetr/sdk'
import { exitText } from '../../data/app-view.ts'
import { openSnapshot } from '../../data/env.ts'
import { assertArtefact } from '../artefact.ts'
import { type ReleaseRecord, releaseCommandSpec } from '../replica-spec.ts'
import type { Run } from '../run.ts'

/** Checks that what the release needs is still there, and runs its release command once, in a replica of its own. */
export async function prepare(run: Run): Promise<void> {
  const { providers, secrets } = run.parts
  const release = releaseOf(run)
  await assertArtefact(run.parts, run.app.runtime, release)
  const { env, replaced } = await openSnapshot(secrets, run.app.id, release.env)
  run.log.hide(Object.values(env).flatMap(({ value, secret }) => (secret ? [value] : [])))
  for (const name of replaced)
    run.say(`the secret ${name} of release v${release.number} was revoked: its newest value is used`)
  if (!release.releaseCommand || (await hasRun(run))) return
  run.say(`release command: ${release.releaseCommand.join(' ')}`)
  const spec = releaseCommandSpec(randomUUID(), run.app, run.id, release, release.releaseCommand, env)
  const { exitCode, oom } = await providers
    .runtime(run.app.runtime)
    .run(spec, { onLine: run.onLine, signal: run.signal })
  if (exitCode === 0) return
  throw new RivetrError(
    'replica_failed',
    `the release command ended ${exitText({ exitCode, oom })}; nothing was switched`,
  )
}

/** A rollback or restart brings a release whose command has run; so does a deployment that waited or starts again. */
async function hasRun(run: Run): Promise<boolean> {
  if (run.row.trigger === 'rollback' || run.row.trigger === 'restart') return true
  const steps = await run.parts.ledger.steps(run.id)
  return steps.some(({ step, outcome }) => step === 'prepare' && outcome === 'done')
}

export function releaseOf({ release }: Run): ReleaseRecord {
  if (release === undefined) throw new Error('there is no release yet')
  return release
}

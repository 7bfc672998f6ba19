import { randomUUID } from 'node:crypto'
import { messageOf } from '@rivetr/sdk'
import { exitText } from '../../data/app-view.ts'
import { openSnapshot } from '../../data/env.ts'
import type { DeploymentRecord } from '../ledger.ts'
import type { DeployParts } from '../parts.ts'
import { type ReleaseRecord, releaseCommandSpec } from '../replica-spec.ts'
import type { Run } from '../run.ts'
import { secretMask } from '../secret-mask.ts'
import { releaseOf } from './prepare.ts'

/**
 * Runs the post-deploy command of a release that serves, once, in a replica of its own. However it ends, the release stays: a
 * failure stands in the log, in the step, and in the deployment's reason. One that a stop of Rivetr cuts off is not run again.
 */
export async function postDeploy(run: Run): Promise<void> {
  const { ledger, providers, secrets, config, log } = run.parts
  const release = releaseOf(run)
  const command = commandOf(release, run.row)
  if (command === undefined) return
  try {
    await run.perform('postDeploy', config.prepareTimeoutMs, async () => {
      run.say(`post-deploy command: ${command.join(' ')}`)
      const { env } = await openSnapshot(secrets, run.app.id, release.env)
      const spec = releaseCommandSpec(randomUUID(), run.app, run.id, release, command, env)
      const { exitCode, oom } = await providers
        .runtime(run.app.runtime)
        .run(spec, { onLine: run.onLine, signal: run.signal })
      if (exitCode !== 0) throw new Error(`it ended ${exitText({ exitCode, oom })}`)
    })
  } catch (error) {
    if (run.interruption?.kind === 'stopping') return
    const masked = await secretMask(run.parts, run.app.id)
    const reason = `live, but its post-deploy command failed: ${masked(messageOf(error))}`
    run.say(reason)
    log.warn(`deployment ${run.id} of ${run.app.name} is ${reason}`)
    await run.closeStep('failed')
    await ledger.change(run.id, { reason })
  }
}

/**
 * At boot: a command that a stop has cut off is told, for nobody but a person may run it again. Returns the deployments that
 * are live and whose command is still to be run.
 */
export async function endCutPostDeploys({ ledger }: DeployParts): Promise<DeploymentRecord[]> {
  const live = await ledger.find({ state: 'live' })
  const begun = await ledger.findSteps({ step: 'postDeploy', deployment: { $in: live.map(({ id }) => id) } })
  for (const { id, deployment } of begun.filter(({ outcome }) => outcome === 'running')) {
    const reason =
      'live, but Rivetr was stopped while its post-deploy command ran; it is not run twice by itself'
    await ledger.change(deployment, { reason })
    await ledger.leaveStep(id, 'cancelled')
  }
  const known = new Set(begun.map(({ deployment }) => deployment))
  const rest = live.filter(({ id }) => !known.has(id))
  const releases = new Map(
    (await ledger.releases(rest.flatMap(({ release }) => release ?? []))).map((each) => [each.id, each]),
  )
  return rest.filter((row) => {
    const release = releases.get(row.release ?? '')
    return release !== undefined && commandOf(release, row) !== undefined
  })
}

/** Undefined: there is none to run for this deployment. Rows keep what is absent as null. */
function commandOf(
  { settings }: ReleaseRecord,
  { trigger }: DeploymentRecord,
): readonly string[] | undefined {
  return trigger === 'rollback' || trigger === 'restart'
    ? undefined
    : (settings.postDeployCommand ?? undefined)
}

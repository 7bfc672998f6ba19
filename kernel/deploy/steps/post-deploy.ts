import { randomUUID } from 'node:crypto'
import { messageOf } from '@rivetr/sdk'
import { exitText } from '../../data/app-view.ts'
import { openSnapshot } from '../../data/env.ts'
import type { DeployParts } from '../parts.ts'
import { releaseCommandSpec } from '../replica-spec.ts'
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
  const { postDeployCommand: command } = release.settings
  // Rows keep what is absent as null.
  if (!command || run.row.trigger === 'rollback' || run.row.trigger === 'restart') return
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

/** At boot: what a stop has cut off is told, for nobody but a person may run it again. */
export async function endCutPostDeploys({ ledger }: DeployParts): Promise<void> {
  for (const { id } of await ledger.find({ state: 'live' })) {
    const cut = (await ledger.steps(id)).find(
      ({ step, outcome }) => step === 'postDeploy' && outcome === 'running',
    )
    if (cut === undefined) continue
    const reason =
      'live, but Rivetr was stopped while its post-deploy command ran; it is not run twice by itself'
    await ledger.change(id, { reason })
    await ledger.leaveStep(cut.id, 'cancelled')
  }
}

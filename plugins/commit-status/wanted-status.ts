import type { Deployment, ErrorCode } from '@rivetr/sdk'
import type { CommitState } from './entities.ts'

export interface WantedStatus {
  readonly state: CommitState
  /** Anybody who may read the repository sees it: nothing of errors, logs or reasons stands in it. */
  readonly description: string
}

/** Faults of what was pushed. Of all others the commit is innocent: that is `error`. */
const faultsOfTheCommit: readonly ErrorCode[] = ['build_failed', 'replica_failed', 'unhealthy', 'refused']

/** What its commit is to show; undefined for a restart, which says nothing of a commit. */
export function wantedStatus(deployment: Deployment): WantedStatus | undefined {
  const { state, trigger, release, error } = deployment
  if (trigger.kind === 'restart') return undefined
  switch (state) {
    case 'live':
    case 'retired':
      return { state: 'success', description: release === undefined ? 'live' : `live as v${release}` }
    case 'failed': {
      const guilty = faultsOfTheCommit.some((code) => code === error?.code)
      const where = error?.step === undefined ? 'failed' : `failed in step ${error.step}`
      return { state: guilty ? 'failure' : 'error', description: where }
    }
    case 'cancelled':
      return { state: 'cancelled', description: 'cancelled' }
    case 'superseded':
      return { state: 'cancelled', description: 'superseded by a newer push' }
    case 'waiting':
      return { state: 'pending', description: 'waiting' }
    default:
      return { state: 'pending', description: 'being deployed' }
  }
}

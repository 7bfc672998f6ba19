import type { DeploymentState, ReplicaState, Step } from '@rivetr/sdk'

/** Every transition of a deployment, and nothing else. */
export const transitions: Readonly<Record<DeploymentState, readonly DeploymentState[]>> = {
  queued: ['fetching', 'preparing', 'waiting', 'superseded', 'cancelled', 'failed'],
  waiting: ['queued', 'superseded', 'cancelled', 'failed'],
  fetching: ['building', 'failed', 'cancelled'],
  building: ['preparing', 'failed', 'cancelled'],
  preparing: ['starting', 'waiting', 'failed', 'cancelled'],
  starting: ['checking', 'failed', 'cancelled'],
  checking: ['switching', 'waiting', 'failed', 'cancelled'],
  switching: ['live'],
  live: ['retired'],
  retired: [],
  failed: [],
  cancelled: [],
  superseded: [],
}

/**
 * Every transition of a replica. A live one that ended is starting again, and out of the table until it is ready; only
 * one that was never accepted crashes for good.
 */
export const replicaTransitions: Readonly<Record<ReplicaState, readonly ReplicaState[]>> = {
  starting: ['ready', 'draining', 'stopped', 'crashed'],
  ready: ['starting', 'draining', 'stopped', 'crashed'],
  draining: ['stopped'],
  stopped: [],
  crashed: [],
}

/** What a boot may do besides: work that died with the last process starts again from the queue. */
export const restartable: readonly DeploymentState[] = [
  'fetching',
  'building',
  'preparing',
  'starting',
  'checking',
]

export const finalStates: readonly DeploymentState[] = [
  'live',
  'retired',
  'failed',
  'cancelled',
  'superseded',
]

/** The state in which each step of the pipeline runs; the last two run when the deployment is live. */
export const stateOfStep: Readonly<Record<Exclude<Step, 'postDeploy' | 'retire'>, DeploymentState>> = {
  fetch: 'fetching',
  build: 'building',
  prepare: 'preparing',
  start: 'starting',
  check: 'checking',
  switch: 'switching',
}

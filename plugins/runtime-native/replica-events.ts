import type { ReplicaStatus, RuntimeEvent } from '@rivetr/sdk'

/** What must have happened between two looks at the replicas. */
export function* eventsBetween(
  before: readonly ReplicaStatus[],
  now: readonly ReplicaStatus[],
): Iterable<RuntimeEvent> {
  const then = begun(before)
  const today = begun(now)
  for (const [id, was] of then) {
    const is = today.get(id)
    if (!was.running || (is?.running && !isAnother(is, was))) continue
    yield { kind: 'exited', replica: id, exit: isAnother(is, was) ? undefined : is?.exit }
  }
  for (const [id, is] of today) {
    if (!isAnother(is, then.get(id))) continue
    yield { kind: 'started', replica: id }
    if (!is.running) yield { kind: 'exited', replica: id, exit: is.exit }
  }
}

/** Those whose start has come as far as to a process. */
function begun(replicas: readonly ReplicaStatus[]): ReadonlyMap<string, ReplicaStatus> {
  const found = replicas.filter(({ running, exit }) => running || exit !== undefined)
  return new Map(found.map((replica) => [replica.id, replica]))
}

/** Whether it was started again meanwhile, under the same id. */
function isAnother(is: ReplicaStatus | undefined, was: ReplicaStatus | undefined): boolean {
  return is?.startedAt !== was?.startedAt
}

import { connected, type Engine, engineEvents, labels } from '@rivetr/engine-api'
import type { ReplicaExit, ReplicaStatus, RuntimeEvent } from '@rivetr/sdk'
import { type Containers, statusOf } from './containers.ts'

interface Watch {
  readonly engine: Engine
  readonly instance: string
  readonly containers: Containers
  readonly signal: AbortSignal
}

/**
 * Starts and ends of replicas. After the engine was away, what changed meanwhile is told too: an engine that restarts
 * ends its replicas and remembers no event.
 */
export async function* watchReplicas({
  engine,
  instance,
  containers,
  signal,
}: Watch): AsyncGenerator<RuntimeEvent> {
  let running: Set<string> | undefined
  const events = engineEvents(engine, {
    label: `${labels.instance}=${instance}`,
    actions: ['start', 'die'],
    signal,
  })
  for await (const event of events) {
    if (event === connected) {
      const now = await statuses()
      if (now === undefined) continue
      if (running !== undefined) yield* changes(running, now)
      running = new Set(now.filter((status) => status.running).map(({ id }) => id))
      continue
    }
    const replica = event.Actor.Attributes[labels.replica]
    if (replica === undefined) continue
    if (event.Action === 'start') {
      if (!running?.has(replica)) yield { kind: 'started', replica }
      running?.add(replica)
    } else {
      running?.delete(replica)
      yield { kind: 'exited', replica, exit: await exitAt(event.Actor) }
    }
  }

  async function statuses(): Promise<ReplicaStatus[] | undefined> {
    // The engine may be gone again: the next connection looks again.
    const listed = await containers.list(signal).catch(() => undefined)
    const inspected = await Promise.all(
      (listed ?? []).map(({ Id }) => containers.inspect(Id, signal).catch(() => undefined)),
    )
    return listed && inspected.filter((container) => container !== undefined).map(statusOf)
  }

  /** Only the container itself tells an end by the memory limit; one that is gone already has at least its exit code. */
  async function exitAt({
    ID,
    Attributes,
  }: {
    ID: string
    Attributes: Readonly<Record<string, string>>
  }): Promise<ReplicaExit> {
    const container = await containers.inspect(ID, signal).catch(() => undefined)
    return { exitCode: Number(Attributes.exitCode ?? 0), oom: container?.State.OOMKilled ?? false }
  }
}

function* changes(before: ReadonlySet<string>, now: readonly ReplicaStatus[]): Generator<RuntimeEvent> {
  for (const { id, running } of now) if (running && !before.has(id)) yield { kind: 'started', replica: id }
  for (const id of before) {
    const status = now.find((one) => one.id === id)
    if (!status?.running) yield { kind: 'exited', replica: id, exit: status?.exit }
  }
}

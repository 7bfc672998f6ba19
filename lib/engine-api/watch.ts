import type { ReplicaExit, ReplicaStatus, RuntimeEvent } from '@rivetr/sdk'
import { type Containers, statusOf } from './containers.ts'
import type { Engine } from './engine.ts'
import { connected, engineEvents } from './events.ts'
import { labels } from './labels.ts'

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
  /** What runs, and since when. */
  let running: Map<string, string | undefined> | undefined
  const events = engineEvents(engine, {
    label: `${labels.instance}=${instance}`,
    // Podman filters by its own word for an end, and then says Docker's.
    actions: ['start', 'die', 'died'],
    signal,
  })
  for await (const event of events) {
    if (event === connected) {
      const now = await statuses()
      if (now === undefined) continue
      if (running !== undefined) yield* changes(running, now)
      running = new Map(now.filter((status) => status.running).map(({ id, startedAt }) => [id, startedAt]))
      continue
    }
    const replica = event.Actor.Attributes[labels.replica]
    if (replica === undefined) continue
    if (event.Action === 'start') {
      if (!running?.has(replica)) yield { kind: 'started', replica }
      running?.set(replica, await startOf(event.Actor.ID))
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

  async function startOf(id: string): Promise<string | undefined> {
    const container = await containers.inspect(id, signal).catch(() => undefined)
    return container && statusOf(container).startedAt
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

function* changes(
  before: ReadonlyMap<string, string | undefined>,
  now: readonly ReplicaStatus[],
): Generator<RuntimeEvent> {
  const statuses = new Map(now.map((status) => [status.id, status]))
  const ended = new Set<string>()
  for (const [id, startedAt] of before) {
    const status = statuses.get(id)
    // One that runs, and began anew meanwhile, has ended too.
    if (status?.running && (startedAt === undefined || status.startedAt === startedAt)) continue
    ended.add(id)
    yield { kind: 'exited', replica: id, exit: status?.exit }
  }
  for (const { id, running } of now)
    if (running && (!before.has(id) || ended.has(id))) yield { kind: 'started', replica: id }
}

import type { Endpoint, ReplicaExit, ReplicaStatus } from '@rivetr/sdk'
import { type Engine, unless } from './engine.ts'
import { instanceFilter, labels, replicaFilter } from './labels.ts'

export interface ListedContainer {
  readonly Id: string
  readonly Labels: Readonly<Record<string, string>>
  readonly NetworkSettings?: {
    readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> | null
  } | null
}

export interface Container {
  readonly Id: string
  readonly State: {
    readonly Status: string
    /** Of its first process; 0 while none runs. */
    readonly Pid: number
    /** True for one that waits to be started again, too. */
    readonly Running: boolean
    readonly Restarting: boolean
    readonly ExitCode: number
    readonly OOMKilled: boolean
    readonly StartedAt: string
    readonly Error: string
  }
  readonly Config: { readonly Labels: Readonly<Record<string, string>>; readonly Tty: boolean }
  readonly HostConfig: { readonly RestartPolicy: { readonly Name: string } }
  readonly NetworkSettings: {
    readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> | null
    readonly Ports: Readonly<Record<string, readonly { HostIp: string; HostPort: string }[] | null>> | null
  }
}

/** The containers of one instance: every look-up goes by its labels, so that no other is ever touched. */
export class Containers {
  private readonly engine: Engine
  private readonly instance: string

  constructor(engine: Engine, instance: string) {
    this.engine = engine
    this.instance = instance
  }

  list(signal?: AbortSignal): Promise<ListedContainer[]> {
    return this.listed(instanceFilter(this.instance), signal)
  }

  async find(replica: string, signal?: AbortSignal): Promise<Container | undefined> {
    const [found] = await this.listed(replicaFilter(this.instance, replica), signal)
    return found && this.inspect(found.Id, signal)
  }

  /** Undefined for one that went meanwhile. */
  inspect(id: string, signal?: AbortSignal): Promise<Container | undefined> {
    const request = { method: 'GET', path: `/containers/${id}/json`, ...(signal && { signal }) } as const
    return unless([404], this.engine.call<Container>(request))
  }

  private listed(filters: string, signal?: AbortSignal): Promise<ListedContainer[]> {
    const query = { all: 1, filters }
    return this.engine.call({ method: 'GET', path: '/containers/json', query, ...(signal && { signal }) })
  }
}

export function statusOf(container: Container): ReplicaStatus {
  const { Config, State } = container
  const begun = State.Status !== 'created'
  const running = State.Running && !State.Restarting
  return {
    id: Config.Labels[labels.replica] ?? '',
    appId: Config.Labels[labels.app] ?? '',
    deployment: Config.Labels[labels.deployment] ?? '',
    running,
    exit: running || !(begun || State.ExitCode !== 0) ? undefined : exitOf(container),
    endpoint: running ? endpointOf(container) : undefined,
    startedAt: begun ? new Date(State.StartedAt).toISOString() : undefined,
  }
}

export function exitOf({ State }: Container): ReplicaExit {
  return { exitCode: State.ExitCode, oom: State.OOMKilled }
}

/** Where it answers now, as the engine says: not what was allotted. */
function endpointOf({ Config, NetworkSettings }: Container): Endpoint | undefined {
  const allotted = Config.Labels[labels.endpoint]
  if (allotted === undefined) return undefined
  const [published] = Object.values(NetworkSettings.Ports ?? {}).flatMap((bindings) => bindings ?? [])
  if (published !== undefined) return { address: published.HostIp, port: Number(published.HostPort) }
  const [address] = Object.values(NetworkSettings.Networks ?? {}).map(({ IPAddress }) => IPAddress)
  return address ? { address, port: Number(allotted.split(':')[1]) } : undefined
}

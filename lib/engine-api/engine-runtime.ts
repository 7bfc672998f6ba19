import {
  type ArtefactKind,
  type Capability,
  type Detection,
  type Endpoint,
  type LogLine,
  type LogOptions,
  messageOf,
  type ReplicaExit,
  type ReplicaSpec,
  type ReplicaStats,
  type ReplicaStatus,
  RivetrError,
  type RunOptions,
  type Runtime,
  type RuntimeEvent,
  type Terminal,
  type TerminalOptions,
} from '@rivetr/sdk'
import { portHolder } from '@rivetr/sdk/kit'
import { printed } from './container-logs.ts'
import type { ContainerSettings } from './container-settings.ts'
import { containerName, containerSpec } from './container-spec.ts'
import { measure } from './container-stats.ts'
import { type Container, Containers, exitOf, statusOf } from './containers.ts'
import type { Dialect } from './dialect.ts'
import { Endpoints, loopback } from './endpoints.ts'
import { type Engine, unless } from './engine.ts'
import { engineMessage, engineStatus } from './engine-error.ts'
import { runInside } from './exec.ts'
import { listeningIn } from './listening.ts'
import { openTerminal } from './terminal.ts'
import { watchReplicas } from './watch.ts'

/** How long the engine may take beyond what a replica was given to end. */
const stopGraceMs = 30_000
/** What a one-off that is taken back gets to end by itself. */
const abortedStopMs = 2_000

/** Replicas as containers of an engine that speaks the Docker Engine API. */
export class EngineRuntime implements Runtime {
  readonly accepts: readonly ArtefactKind[] = ['oci']
  readonly capabilities: readonly Capability[]
  private readonly engine: Engine
  private readonly instance: string
  private readonly settings: ContainerSettings
  private readonly dialect: Dialect
  private readonly containers: Containers
  private readonly endpoints: Endpoints

  constructor(engine: Engine, instance: string, settings: ContainerSettings, dialect: Dialect) {
    this.capabilities = dialect.capabilities
    this.dialect = dialect
    this.engine = engine
    this.instance = instance
    this.settings = settings
    this.containers = new Containers(engine, instance)
    this.endpoints = new Endpoints(engine, instance, this.containers, settings.reach, dialect)
  }

  async detect(signal: AbortSignal): Promise<Detection> {
    try {
      const { version, os } = await this.engine.version(signal)
      // The version is remembered, so it does not show that the engine answers now.
      await this.engine.call({ method: 'GET', path: '/_ping', signal, limitMs: 10_000 })
      if (os !== 'linux')
        throw new RivetrError(
          'unavailable',
          `${this.engine.title} runs ${os} containers, and Rivetr needs linux`,
        )
      return {
        available: true,
        reason: this.engine.title.replace(this.engine.name, `${this.engine.name} ${version}`),
        preference: this.dialect.preference,
      }
    } catch (error) {
      return { available: false, reason: messageOf(error), preference: this.dialect.preference }
    }
  }

  allot({ port, taken }: { readonly port: number; readonly taken: readonly Endpoint[] }): Promise<Endpoint> {
    return this.endpoints.allot(port, taken)
  }

  async start(spec: ReplicaSpec, signal: AbortSignal): Promise<void> {
    const existing = await this.containers.find(spec.id, signal)
    if (existing?.State.Running) return
    await this.startContainer(spec, existing?.Id ?? (await this.create(spec, signal)), signal)
  }

  async run(spec: ReplicaSpec, options: RunOptions): Promise<ReplicaExit> {
    const { onLine, signal } = options
    try {
      const id = await this.create(spec, signal)
      await this.startContainer(spec, id, signal)
      // The log ends with the replica, and begins with its first line however late it is asked for.
      for await (const line of printed(this.engine, this.dialect, await this.get(spec.id, signal), {
        follow: true,
        signal,
      }))
        onLine(line.text, line.stream)
      signal.throwIfAborted()
      await this.engine.call({ method: 'POST', path: `/containers/${id}/wait`, signal, limitMs: stopGraceMs })
      const ended = await this.containers.inspect(id, signal)
      if (ended === undefined)
        throw new RivetrError('replica_failed', `${containerName(spec)} was removed while it ran`)
      return exitOf(ended)
    } finally {
      if (signal.aborted) await this.stop(spec.id, { timeoutMs: abortedStopMs })
      await this.remove(spec.id)
    }
  }

  async keep(replica: string): Promise<void> {
    if (this.capabilities.includes('keep'))
      await this.setRestartPolicy(await this.get(replica), 'unless-stopped')
  }

  async stop(replica: string, { timeoutMs }: { readonly timeoutMs: number }): Promise<void> {
    const container = await this.containers.find(replica)
    if (container === undefined) return
    // First, also for one that has ended: the engine may be about to start it again.
    await unless([404], this.setRestartPolicy(container, 'no'))
    if (!container.State.Running) return
    const path = `/containers/${container.Id}/stop`
    // The engine sends the image's STOPSIGNAL, and counts in seconds. 304: it ended meanwhile; 404: it is gone.
    const query = { t: Math.ceil(timeoutMs / 1000) }
    await unless(
      [304, 404],
      this.engine.call({ method: 'POST', path, query, limitMs: timeoutMs + stopGraceMs }),
    )
  }

  async remove(replica: string): Promise<void> {
    const container = await this.containers.find(replica)
    if (container !== undefined) await this.removeContainer(container.Id)
  }

  async list(signal: AbortSignal): Promise<ReplicaStatus[]> {
    const listed = await this.containers.list(signal)
    const containers = await Promise.all(listed.map(({ Id }) => this.containers.inspect(Id, signal)))
    return containers.filter((container) => container !== undefined).map(statusOf)
  }

  async listening(replica: string): Promise<Endpoint[] | undefined> {
    const container = await this.containers.find(replica)
    return container && listeningIn(container)
  }

  async *logs(replica: string, options: LogOptions): AsyncIterable<LogLine> {
    const container = await this.get(replica, options.signal)
    let seq = 0
    for await (const { at, stream, text, cursor } of printed(this.engine, this.dialect, container, options))
      yield { seq: ++seq, at: at ?? new Date().toISOString(), stream, text, cursor, replica }
  }

  async stats(replica: string): Promise<ReplicaStats> {
    return measure(this.engine, (await this.get(replica)).Id)
  }

  async exec(replica: string, command: readonly string[], signal: AbortSignal) {
    return runInside(this.engine, (await this.get(replica, signal)).Id, command, signal)
  }

  async terminal(replica: string, options: TerminalOptions): Promise<Terminal> {
    return openTerminal(this.engine, (await this.get(replica, options.signal)).Id, options)
  }

  watch(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    return watchReplicas({
      engine: this.engine,
      instance: this.instance,
      containers: this.containers,
      signal,
    })
  }

  private async create(spec: ReplicaSpec, signal: AbortSignal): Promise<string> {
    const { network, reach } = await this.endpoints.ground(signal)
    const name = containerName(spec)
    const json = containerSpec(spec, { instance: this.instance, network: network.name, reach }, this.settings)
    try {
      return await this.createWhole(name, json, signal)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (engineStatus(error) === 409) {
        // Two calls for one replica at a time: the other one made it.
        const existing = await this.containers.find(spec.id, signal)
        if (existing !== undefined) return existing.Id
        throw new RivetrError(
          'conflict',
          `a container that is not of this Rivetr has the name ${name}: remove or rename it (${engineMessage(error)})`,
          { cause: error },
        )
      }
      throw notStarted(spec, error)
    }
  }

  /** To its end, whatever the signal says: an engine that nobody listens to any more makes the container all the same. */
  private async createWhole(name: string, json: object, signal: AbortSignal): Promise<string> {
    const request = { method: 'POST', path: '/containers/create', query: { name }, json } as const
    const { Id } = await this.engine.call<{ Id: string }>(request)
    if (!signal.aborted) return Id
    await this.removeContainer(Id)
    throw signal.reason
  }

  private async setRestartPolicy(
    { Id, HostConfig }: Container,
    Name: 'no' | 'unless-stopped',
  ): Promise<void> {
    if (HostConfig.RestartPolicy.Name === Name) return
    const json = { RestartPolicy: { Name } }
    await this.engine.call({ method: 'POST', path: `/containers/${Id}/update`, json })
  }

  private async removeContainer(id: string): Promise<void> {
    const path = `/containers/${id}`
    try {
      await unless([404], this.engine.call({ method: 'DELETE', path, query: { force: 1, v: 1 } }))
    } catch (error) {
      // Somebody else is removing it: wait with them.
      if (engineStatus(error) !== 409) throw error
      const query = { condition: 'removed' }
      await unless(
        [404],
        this.engine.call({ method: 'POST', path: `${path}/wait`, query, limitMs: stopGraceMs }),
      )
    }
  }

  private async startContainer(spec: ReplicaSpec, id: string, signal: AbortSignal): Promise<void> {
    try {
      await unless([304], this.engine.call({ method: 'POST', path: `/containers/${id}/start`, signal }))
    } catch (error) {
      throw notStarted(spec, error)
    }
  }

  private async get(replica: string, signal?: AbortSignal): Promise<Container> {
    const container = await this.containers.find(replica, signal)
    if (container === undefined)
      throw new RivetrError('not_found', `no replica ${replica} at ${this.engine.title}`)
    return container
  }
}

/** The engine's refusal to create or start a container, as the one who reads the deployment needs it. */
function notStarted(spec: ReplicaSpec, error: unknown): unknown {
  const name = containerName(spec)
  const said = engineMessage(error)
  if (said === undefined) return error
  if (/address already in use|port is already allocated/i.test(said))
    return new RivetrError(
      'unavailable',
      `${name} cannot have its endpoint, ${holderOf(spec)} holds it: deploy again for another (${said})`,
      { cause: error },
    )
  return new RivetrError('replica_failed', `${name} could not be started: ${said}`, { cause: error })
}

/** Only a port of the loopback is one of this machine. */
function holderOf({ endpoint }: ReplicaSpec): string {
  const holder = endpoint?.address === loopback ? portHolder(endpoint.port) : undefined
  return holder === undefined ? 'something else' : `${holder.name} (process ${holder.pid})`
}

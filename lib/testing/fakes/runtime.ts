import { EventEmitter, once } from 'node:events'
import {
  type ArtefactKind,
  type Capability,
  type Detection,
  type Endpoint,
  type LogLine,
  type LogOptions,
  type ReplicaExit,
  type ReplicaSpec,
  type ReplicaStats,
  type ReplicaStatus,
  RivetrError,
  type RunOptions,
  type Runtime,
  type RuntimeEvent,
} from '@rivetr/sdk'

type Method = 'start' | 'run' | 'keep' | 'stop' | 'remove' | 'list' | 'allot' | 'logs'

interface Held {
  readonly spec: ReplicaSpec
  running: boolean
  exit: ReplicaExit | undefined
  readonly lines: LogLine[]
}

/** Replicas that are entries of a map. A test lets them crash, takes the engine away, makes calls fail or hang. */
export class FakeRuntime implements Runtime {
  accepts: ArtefactKind[] = ['oci', 'folder']
  capabilities: Capability[] = ['exec', 'stats', 'limits', 'logs', 'watch']
  /** Why the engine does not answer; undefined: it does. */
  away: string | undefined
  preference = 100
  /** Calls in their order: `start web`, `stop <id>`, `remove <id>`, `run <command>`. */
  readonly calls: string[] = []
  /** How every one-off ends. */
  oneOffExit: ReplicaExit = { exitCode: 0, oom: false }
  /** Replicas that it shall start again by itself; a test with the capability `keep` does so by `comeBack`. */
  readonly kept = new Set<string>()
  /** What every one-off prints. */
  oneOffLines: string[] = []
  /** The time of what is printed from now on: ISO 8601. */
  now = new Date(0).toISOString()
  /** Where replicas listen; undefined: that cannot be seen. */
  sockets: Endpoint[] | undefined
  /** Called for each replica once it is started: the place to let it print and crash. */
  onStart: (spec: ReplicaSpec) => void = () => undefined
  readonly #replicas = new Map<string, Held>()
  readonly #failures: { readonly method: Method; readonly error: Error }[] = []
  readonly #hangs = new Map<Method, PromiseWithResolvers<void>>()
  readonly #watchers = new Set<(event: RuntimeEvent) => void>()
  readonly #news = new EventEmitter().setMaxListeners(0)
  #nextPort = 20_000

  /** Every replica that there is, by its spec. */
  get specs(): ReplicaSpec[] {
    return [...this.#replicas.values()].map(({ spec }) => spec)
  }

  get runningSpecs(): ReplicaSpec[] {
    return [...this.#replicas.values()].filter(({ running }) => running).map(({ spec }) => spec)
  }

  /** The replica ends by itself. */
  crash(id: string, exit: ReplicaExit = { exitCode: 1, oom: false }): void {
    const held = this.#replicas.get(id)
    if (held === undefined) throw new Error(`no replica ${id}`)
    this.#end(held, exit)
  }

  /** The engine starts a replica again by itself. */
  comeBack(id: string): void {
    const held = this.#replicas.get(id)
    if (held === undefined) throw new Error(`no replica ${id}`)
    held.running = true
    held.exit = undefined
    this.#tell({ kind: 'started', replica: id })
  }

  print(id: string, ...texts: string[]): void {
    const lines = this.#replicas.get(id)?.lines
    for (const text of texts) lines?.push({ seq: lines.length + 1, at: this.now, stream: 'stdout', text })
    this.#news.emit(id)
  }

  /** The machine was started anew: nothing runs, and what there was is known no more. */
  reboot(): void {
    this.#replicas.clear()
  }

  /** The next call of this method fails, once. */
  failNext(method: Method, error: Error): void {
    this.#failures.push({ method, error })
  }

  /** Calls of this method hang from now on, until their signal aborts or the returned function is called. */
  hang(method: Method): () => void {
    const gate = Promise.withResolvers<void>()
    this.#hangs.set(method, gate)
    return () => {
      this.#hangs.delete(method)
      gate.resolve()
    }
  }

  async detect(): Promise<Detection> {
    return {
      available: this.away === undefined,
      reason: this.away ?? 'a fake that is there',
      preference: this.preference,
    }
  }

  async allot({ taken }: { readonly port: number; readonly taken: readonly Endpoint[] }): Promise<Endpoint> {
    await this.#enter('allot', 'allot')
    do this.#nextPort += 1
    while (taken.some(({ port }) => port === this.#nextPort))
    return { address: '127.0.0.1', port: this.#nextPort }
  }

  async start(spec: ReplicaSpec, signal: AbortSignal): Promise<void> {
    await this.#enter('start', `start ${spec.run.process}`, signal)
    if (this.#replicas.get(spec.id)?.running) return
    this.#replicas.set(spec.id, { spec, running: true, exit: undefined, lines: [] })
    this.#tell({ kind: 'started', replica: spec.id })
    this.onStart(spec)
  }

  async run(spec: ReplicaSpec, { onLine, signal }: RunOptions): Promise<ReplicaExit> {
    const held: Held = { spec, running: true, exit: undefined, lines: [] }
    this.#replicas.set(spec.id, held)
    try {
      await this.#enter('run', `run ${spec.run.command?.join(' ')}`, signal)
      for (const line of this.oneOffLines) onLine(line)
      return this.oneOffExit
    } finally {
      this.#replicas.delete(spec.id)
    }
  }

  async keep(replica: string): Promise<void> {
    await this.#enter('keep')
    this.kept.add(replica)
  }

  async stop(replica: string): Promise<void> {
    await this.#enter('stop', `stop ${replica}`)
    this.kept.delete(replica)
    const held = this.#replicas.get(replica)
    if (held?.running) this.#end(held, { exitCode: 0, oom: false })
  }

  async remove(replica: string): Promise<void> {
    await this.#enter('remove', `remove ${replica}`)
    const held = this.#replicas.get(replica)
    if (held?.running) this.#end(held, { exitCode: 137, oom: false })
    this.#replicas.delete(replica)
  }

  async list(): Promise<ReplicaStatus[]> {
    await this.#enter('list')
    return [...this.#replicas.values()].map(({ spec, running, exit }) => ({
      id: spec.id,
      appId: spec.app.id,
      deployment: spec.deployment,
      running,
      ...(exit === undefined ? {} : { exit }),
      ...(spec.endpoint === undefined ? {} : { endpoint: spec.endpoint }),
      startedAt: new Date(0).toISOString(),
    }))
  }

  async listening(): Promise<Endpoint[] | undefined> {
    return this.sockets
  }

  async *logs(replica: string, options: LogOptions): AsyncGenerator<LogLine> {
    const { tail, follow = false, after = '0', signal } = options
    await this.#enter('logs')
    const held = this.#replicas.get(replica)
    if (held === undefined) throw new RivetrError('not_found', `no replica ${replica}`)
    let next = tail === undefined ? Number(after) : Math.max(0, held.lines.length - tail)
    while (!signal.aborted) {
      const more = follow ? once(this.#news, replica, { signal }).catch(() => undefined) : undefined // asked first
      for (; next < held.lines.length; next += 1) {
        const line = held.lines[next]
        if (line !== undefined) yield { ...line, replica, cursor: String(next + 1) }
      }
      if (!follow || !held.running) return
      await more
    }
  }

  async stats(): Promise<ReplicaStats> {
    return { at: new Date(0).toISOString(), cpuMs: 1, memoryBytes: 1024 * 1024, pids: 1 }
  }

  async exec(_replica: string, command: readonly string[]): Promise<{ exitCode: number; output: string }> {
    return { exitCode: 0, output: `${command.join(' ')}\n` }
  }

  async *watch(signal: AbortSignal): AsyncGenerator<RuntimeEvent> {
    const events: RuntimeEvent[] = []
    let wake = Promise.withResolvers<void>()
    const onEvent = (event: RuntimeEvent) => {
      events.push(event)
      wake.resolve()
    }
    const onAbort = () => wake.resolve()
    this.#watchers.add(onEvent)
    signal.addEventListener('abort', onAbort)
    try {
      while (!signal.aborted) {
        yield* events.splice(0)
        await wake.promise
        wake = Promise.withResolvers()
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.#watchers.delete(onEvent)
    }
  }

  /** Records the call, and does to it what the test wants. */
  async #enter(method: Method, call?: string, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (call !== undefined) this.calls.push(call)
    if (this.away !== undefined) throw new RivetrError('unavailable', this.away)
    const at = this.#failures.findIndex((failure) => failure.method === method)
    const [failure] = at < 0 ? [] : this.#failures.splice(at, 1)
    if (failure !== undefined) throw failure.error
    const hang = this.#hangs.get(method)
    if (hang !== undefined) await untilAborted(hang.promise, signal)
  }

  #end(held: Held, exit: ReplicaExit): void {
    held.running = false
    held.exit = exit
    this.#news.emit(held.spec.id)
    this.#tell({ kind: 'exited', replica: held.spec.id, exit })
  }

  #tell(event: RuntimeEvent): void {
    for (const watcher of this.#watchers) watcher(event)
  }
}

/** What hangs ends with its signal, as the contract of every provider says. */
export async function untilAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return work
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

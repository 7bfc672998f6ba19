import { once } from 'node:events'
import { existsSync } from 'node:fs'
import {
  type Clock,
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
  type Terminal,
  type TerminalOptions,
} from '@rivetr/sdk'
import { spawn } from '@rivetr/sdk/kit'
import { whyUnreachable } from './app-folder.ts'
import { PortRange } from './port-range.ts'
import { killed, type Replica } from './replica.ts'
import { eventsBetween } from './replica-events.ts'
import { ReplicaSet } from './replica-set.ts'
import { type StartOptions, startReplica } from './replica-start.ts'
import { identity } from './shim.ts'
import { openTerminal } from './terminal.ts'
import type { UidTable } from './uid-table.ts'

export interface NativeRuntimeOptions {
  readonly dataDir: string
  readonly appsDir: string
  readonly clock: Clock
  /** Absent without root: then everything runs under Rivetr's own uid. */
  readonly uids: UidTable | undefined
  /** Whether that is wanted. */
  readonly sharedUid: boolean
  readonly portFrom: number
  readonly portCount: number
  readonly path: string
  readonly maxLogBytes: number
}

const preference = 10
const watchMs = 500
/** How long a one-off that is taken back may take to end by itself. */
const runStopMs = 2_000
const execOutputBytes = 64 * 1024

/** Replicas as plain processes of this machine, each a session of its own that outlives Rivetr. */
export class NativeRuntime implements Runtime {
  readonly accepts = ['folder'] as const
  readonly capabilities = ['exec', 'terminal', 'stats', 'logs', 'watch'] as const
  readonly #options: NativeRuntimeOptions & StartOptions
  readonly #replicas: ReplicaSet
  readonly #ports: PortRange

  constructor(options: NativeRuntimeOptions) {
    this.#replicas = new ReplicaSet(options)
    this.#ports = new PortRange(options.portFrom, options.portCount)
    this.#options = { ...options, replicas: this.#replicas }
  }

  async detect(): Promise<Detection> {
    const { uids, sharedUid, appsDir } = this.#options
    const yes = (reason: string): Detection => ({ available: true, reason, preference })
    const no = (reason: string): Detection => ({ available: false, reason, preference })
    if (!existsSync('/proc/self/stat') || !existsSync('/bin/sh'))
      return no('it needs Linux with /proc and /bin/sh')
    if (uids !== undefined) {
      const why = await whyUnreachable(appsDir)
      return why === undefined ? yes('processes, each app under its own uid') : no(why)
    }
    if (sharedUid) return yes('processes, all apps under the uid of Rivetr')
    return no(
      'without root it cannot give each app a uid of its own; start Rivetr as root, ' +
        'or set shared_uid = true in [runtime-native] if all apps may read each other',
    )
  }

  async allot({ taken }: { readonly port: number; readonly taken: readonly Endpoint[] }): Promise<Endpoint> {
    const given = (await this.list()).flatMap(({ running, endpoint }) =>
      running && endpoint ? [endpoint] : [],
    )
    return await this.#ports.allot([...taken, ...given])
  }

  async start(spec: ReplicaSpec, signal: AbortSignal): Promise<void> {
    await this.#replicas.inTurn(spec.id, async () => {
      if ((await this.#replicas.find(spec.id))?.running) return
      const child = await startReplica(spec, { signal, writable: false }, this.#options)
      child.unref()
    })
  }

  async run(spec: ReplicaSpec, { onLine, signal, writable = false }: RunOptions): Promise<ReplicaExit> {
    const { id } = spec
    await this.#replicas.remove(id) // of a kernel that was killed meanwhile
    try {
      const child = await this.#replicas.inTurn(id, () =>
        startReplica(spec, { signal, writable }, this.#options),
      )
      const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined
      const replica = await this.#replicas.get(id)
      const takeBack = () => void replica.stop(runStopMs, this.#options.clock).catch(() => undefined) // `remove` tells
      signal.addEventListener('abort', takeBack, { once: true })
      try {
        for await (const { text, stream } of this.logs(id, { follow: true, signal: never }))
          onLine(text, stream)
        await ended
      } finally {
        signal.removeEventListener('abort', takeBack)
      }
      signal.throwIfAborted()
      return replica.exit ?? killed
    } finally {
      await this.#replicas.remove(id)
    }
  }

  /** Nobody but Rivetr starts a process of this machine again. */
  async keep(): Promise<void> {}

  async stop(id: string, { timeoutMs }: { readonly timeoutMs: number }): Promise<void> {
    await (await this.#replicas.find(id))?.stop(timeoutMs, this.#options.clock)
  }

  async remove(id: string): Promise<void> {
    await this.#replicas.remove(id)
  }

  async list(): Promise<ReplicaStatus[]> {
    return (await this.#replicas.all()).map(({ status }) => status)
  }

  async listening(id: string): Promise<Endpoint[]> {
    return (await this.#replicas.get(id)).listening
  }

  async *logs(id: string, { follow = false, tail, after, signal }: LogOptions): AsyncIterable<LogLine> {
    const replica = await this.#replicas.get(id)
    const options = { follow, tail, after: numberOf(after), signal, ended: () => !replica.running }
    for await (const line of this.#replicas.log(id).read(options))
      yield { ...line, replica: id, cursor: String(line.seq) }
  }

  async stats(id: string): Promise<ReplicaStats> {
    const { usage } = await this.#replicas.get(id)
    return { at: new Date(this.#options.clock.now()).toISOString(), ...usage }
  }

  async exec(
    id: string,
    [program, ...args]: readonly string[],
    signal: AbortSignal,
  ): Promise<{ exitCode: number; output: string }> {
    if (program === undefined) throw new RivetrError('invalid_input', 'no command was given')
    const replica = await this.#running(id)
    let output = Buffer.alloc(0)
    const { exitCode } = await spawn(program, args, {
      cwd: replica.record.release,
      env: replica.environment,
      signal,
      ...identity(this.#options.uids && replica.record.uid),
      onLine: (text) => {
        if (output.length < execOutputBytes) output = Buffer.concat([output, Buffer.from(`${text}\n`)])
      },
    })
    return { exitCode, output: output.subarray(0, execOutputBytes).toString('utf8') }
  }

  async terminal(id: string, options: TerminalOptions): Promise<Terminal> {
    const replica = await this.#running(id)
    const uid = this.#options.uids && replica.record.uid
    return openTerminal(replica, uid, this.#options.clock, options)
  }

  async *watch(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    let before = await this.list()
    for (;;) {
      await this.#options.clock.sleep(watchMs, signal).catch(() => undefined)
      if (signal.aborted) return
      const now = await this.list()
      yield* eventsBetween(before, now)
      before = now
    }
  }

  /** Keeps logs within their size and the machine clean of what ended replicas left. To be called every second or so. */
  async tend(): Promise<void> {
    await this.#replicas.tend()
  }

  async #running(id: string): Promise<Replica> {
    const replica = await this.#replicas.get(id)
    if (!replica.running) throw new RivetrError('conflict', `replica ${id} does not run`)
    return replica
  }
}

/** A one-off is followed to its end, also when it is taken back. */
const never = new AbortController().signal

/** Undefined for the cursor of another kind of log. */
function numberOf(cursor: string | undefined): number | undefined {
  return cursor !== undefined && /^\d+$/.test(cursor) ? Number(cursor) : undefined
}

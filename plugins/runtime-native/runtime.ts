import { type ChildProcess, spawn as spawnChild } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type Clock,
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
} from '@rivetr/sdk'
import { spawn } from '@rivetr/sdk/kit'
import { AppFolder } from './app-folder.ts'
import { environmentFor } from './environment.ts'
import { PortRange } from './port-range.ts'
import { bootId } from './process-table.ts'
import { findProgram } from './program.ts'
import { openRelease, sealRelease } from './release-folder.ts'
import { Replica } from './replica.ts'
import { ReplicaFolder, replicaFolders } from './replica-folder.ts'
import { ReplicaLog } from './replica-log.ts'
import { shim } from './shim.ts'
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

const watchMs = 500
/** How long the shim may take until it has written down who it is. */
const startLimitMs = 10_000
/** How long a one-off that is taken back may take to end by itself. */
const runStopMs = 2_000
const execOutputBytes = 64 * 1024

/** Replicas as plain processes of this machine, each a session of its own that outlives Rivetr. */
export class NativeRuntime implements Runtime {
  readonly accepts = ['folder'] as const
  readonly capabilities = ['exec', 'stats', 'logs', 'watch'] as const
  readonly #options: NativeRuntimeOptions
  readonly #replicasDir: string
  readonly #ports: PortRange
  readonly #logs = new Map<string, ReplicaLog>()
  /** Ended replicas of which nothing is left to do. */
  readonly #settled = new Set<string>()

  constructor(options: NativeRuntimeOptions) {
    this.#options = options
    this.#replicasDir = join(options.dataDir, 'replicas')
    this.#ports = new PortRange(options.portFrom, options.portCount)
  }

  async detect(): Promise<Detection> {
    const { uids, sharedUid } = this.#options
    const no = (reason: string): Detection => ({ available: false, reason, preference: 0 })
    if (!existsSync('/proc/self/stat') || !existsSync('/bin/sh'))
      return no('it needs Linux with /proc and /bin/sh')
    if (uids !== undefined)
      return { available: true, reason: 'processes, each app under its own uid', preference: 10 }
    if (sharedUid)
      return { available: true, reason: 'processes, all apps under the uid of Rivetr', preference: 10 }
    return no(
      'without root it cannot give each app a uid of its own; start Rivetr as root, ' +
        'or set shared_uid = true in [runtime-native] if all apps may read each other',
    )
  }

  async allot({ taken }: { readonly port: number; readonly taken: readonly Endpoint[] }): Promise<Endpoint> {
    const given = (await this.list()).flatMap(({ running, endpoint }) =>
      running && endpoint ? [endpoint] : [],
    )
    return this.#ports.allot([...taken, ...given])
  }

  async start(spec: ReplicaSpec, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if ((await this.#find(spec.id))?.running) return
    const child = await this.#launch(spec, { signal, writable: false })
    child.unref()
  }

  async run(spec: ReplicaSpec, { onLine, signal, writable = false }: RunOptions): Promise<ReplicaExit> {
    signal.throwIfAborted()
    try {
      const child = await this.#launch(spec, { signal, writable })
      const replica = await this.#get(spec.id)
      const takeBack = () => void replica.stop(runStopMs, this.#options.clock).catch(() => undefined)
      signal.addEventListener('abort', takeBack, { once: true })
      try {
        const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined
        const lines = this.logs(spec.id, { follow: true, signal: new AbortController().signal })
        for await (const { text, stream } of lines) onLine(text, stream)
        await ended
      } finally {
        signal.removeEventListener('abort', takeBack)
      }
      signal.throwIfAborted()
      return replica.exit ?? { exitCode: 0, oom: false }
    } finally {
      await this.remove(spec.id)
    }
  }

  async stop(id: string, { timeoutMs }: { readonly timeoutMs: number }): Promise<void> {
    await (await this.#find(id))?.stop(timeoutMs, this.#options.clock)
  }

  async remove(id: string): Promise<void> {
    await (await this.#find(id))?.stop(0, this.#options.clock)
    await this.#folder(id).remove()
    this.#logs.delete(id)
    this.#settled.delete(id)
  }

  async list(): Promise<ReplicaStatus[]> {
    return (await this.#all()).map(({ status }) => status)
  }

  async *logs(id: string, { follow = false, tail, signal }: LogOptions): AsyncIterable<LogLine> {
    const replica = await this.#get(id)
    yield* this.#log(id).read({ follow, tail, signal, ended: () => !replica.running })
  }

  async stats(id: string): Promise<ReplicaStats> {
    const replica = await this.#get(id)
    return { at: new Date(this.#options.clock.now()).toISOString(), ...replica.usage }
  }

  async exec(
    id: string,
    command: readonly string[],
    signal: AbortSignal,
  ): Promise<{ exitCode: number; output: string }> {
    const replica = await this.#get(id)
    const [program, ...args] = command
    if (program === undefined) throw new RivetrError('invalid_input', 'no command was given')
    if (!replica.running) throw new RivetrError('conflict', `replica ${id} does not run`)
    const output: string[] = []
    let bytes = 0
    const { exitCode } = await spawn(program, args, {
      cwd: replica.record.release,
      env: replica.environment,
      signal,
      ...this.#identity(replica.record.uid),
      onLine: (text) => {
        if (bytes < execOutputBytes) output.push(`${text}\n`)
        bytes += Buffer.byteLength(text) + 1
      },
    })
    return { exitCode, output: Buffer.from(output.join('')).subarray(0, execOutputBytes).toString('utf8') }
  }

  async *watch(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    let before = byId(await this.list())
    while (!signal.aborted) {
      await this.#options.clock.sleep(watchMs, signal).catch(() => undefined)
      if (signal.aborted) return
      const now = byId(await this.list())
      yield* eventsBetween(before, now)
      before = now
    }
  }

  /** Takes output into the logs, and ends what ended replicas have left running. To be called every second or so. */
  async tend(): Promise<void> {
    for (const replica of await this.#all()) {
      const { id } = replica.record
      if (this.#settled.has(id)) continue
      const ended = !replica.running
      this.#log(id).collect(ended)
      if (!ended) continue
      await replica.kill(this.#options.clock)
      this.#settled.add(id)
    }
  }

  async #launch(spec: ReplicaSpec, how: { signal: AbortSignal; writable: boolean }): Promise<ChildProcess> {
    const what = `${spec.run.process} of ${spec.app.name}`
    const fault = (why: string, cause?: unknown) =>
      new RivetrError('replica_failed', `cannot start ${what}: ${why}`, { cause })
    if (spec.artefact.kind !== 'folder') throw fault('the native runtime runs folders, not images')
    const release = spec.artefact.path
    const [name, ...args] = spec.run.command ?? []
    if (name === undefined)
      throw fault('it has no command; name one in a Procfile or in the settings of the app')
    if (!(await stat(release).catch(() => undefined))?.isDirectory())
      throw fault(`its release folder ${release} is gone; deploy again`)

    const uid = this.#options.uids?.ensure(spec.app.id)
    const app = new AppFolder(this.#options.appsDir, spec.app.id)
    await app.ensure(uid)
    const env = environmentFor(spec, app, this.#options.path)
    const program = await findProgram(name, env.PATH ?? this.#options.path, release)
    if (program === undefined)
      throw fault(`there is no program ${JSON.stringify(name)}; PATH is ${env.PATH ?? ''}`)
    if (uid !== undefined) {
      if (!app.holds(release)) throw fault(`its release ${release} lies outside the folder of the app`)
      await (how.writable ? openRelease(release, uid) : sealRelease(release, uid))
    }

    const folder = this.#folder(spec.id)
    await (await this.#find(spec.id))?.kill(this.#options.clock) // what a start that broke off has left
    how.signal.throwIfAborted()
    await mkdir(this.#replicasDir, { recursive: true, mode: 0o700 })
    await folder.write({
      id: spec.id,
      appId: spec.app.id,
      deployment: spec.deployment,
      endpoint: spec.endpoint,
      release,
      uid: uid ?? process.getuid?.() ?? 0,
      bootId: bootId(),
      startedAt: new Date(this.#options.clock.now()).toISOString(),
    })
    this.#settled.delete(spec.id)
    const child = await spawnShim([program, ...args], {
      folder,
      cwd: release,
      env,
      ...this.#identity(uid),
    }).catch((error: unknown) => {
      throw fault(messageOf(error), error)
    })
    const giveUpAt = this.#options.clock.now() + startLimitMs
    while (folder.state().leader === undefined && child.exitCode === null && child.signalCode === null) {
      if (this.#options.clock.now() > giveUpAt)
        throw fault('its shell did not start; is the machine overloaded?')
      await this.#options.clock.sleep(2)
    }
    return child
  }

  #identity(uid: number | undefined): { uid: number; gid: number } | Record<string, never> {
    return uid === undefined || this.#options.uids === undefined ? {} : { uid, gid: uid }
  }

  #folder(id: string): ReplicaFolder {
    return new ReplicaFolder(this.#replicasDir, id)
  }

  #log(id: string): ReplicaLog {
    const { maxLogBytes, clock } = this.#options
    const log = this.#logs.get(id) ?? new ReplicaLog(this.#folder(id).path, maxLogBytes, clock)
    this.#logs.set(id, log)
    return log
  }

  async #all(): Promise<Replica[]> {
    const folders = await replicaFolders(this.#replicasDir)
    const records = await Promise.all(
      folders.map(async (folder) => ({ folder, record: await folder.find() })),
    )
    return records.flatMap(({ folder, record }) =>
      record === undefined ? [] : [new Replica(record, folder)],
    )
  }

  async #find(id: string): Promise<Replica | undefined> {
    const folder = this.#folder(id)
    const record = await folder.find()
    return record === undefined ? undefined : new Replica(record, folder)
  }

  async #get(id: string): Promise<Replica> {
    const replica = await this.#find(id)
    if (replica === undefined) throw new RivetrError('not_found', `the native runtime has no replica ${id}`)
    return replica
  }
}

interface ShimOptions {
  readonly folder: ReplicaFolder
  readonly cwd: string
  readonly env: Record<string, string>
  readonly uid?: number
  readonly gid?: number
}

/** Starts the shim as a session of its own whose output goes to files: it must outlive this process. */
async function spawnShim(
  command: readonly string[],
  { folder, ...options }: ShimOptions,
): Promise<ChildProcess> {
  const files = await Promise.all(
    [...ReplicaLog.outputsIn(folder.path), folder.statePath].map((path) => open(path, 'a', 0o600)),
  )
  try {
    // The app may open its own output anew (/dev/stderr), but not the state, which says whom to kill.
    const { uid } = options
    if (uid !== undefined) await Promise.all(files.slice(0, 2).map((file) => file.chown(uid, uid)))
    const child = spawnChild('/bin/sh', ['-c', shim, 'rivetr', ...command], {
      ...options,
      detached: true,
      stdio: ['ignore', ...files.map(({ fd }) => fd)],
    })
    await once(child, 'spawn')
    return child
  } finally {
    await Promise.all(files.map((file) => file.close()))
  }
}

function byId(replicas: readonly ReplicaStatus[]): ReadonlyMap<string, ReplicaStatus> {
  return new Map(replicas.map((replica) => [replica.id, replica]))
}

function* eventsBetween(
  before: ReadonlyMap<string, ReplicaStatus>,
  now: ReadonlyMap<string, ReplicaStatus>,
): Iterable<RuntimeEvent> {
  for (const [id, was] of before) {
    const is = now.get(id)
    const again = is?.startedAt !== was.startedAt
    if (was.running && (is === undefined || again || !is.running))
      yield { kind: 'exited', replica: id, exit: again ? undefined : is?.exit }
  }
  for (const [id, is] of now) {
    const was = before.get(id)
    const isNew = was === undefined || was.startedAt !== is.startedAt
    if (isNew) yield { kind: 'started', replica: id }
    if (isNew && !is.running) yield { kind: 'exited', replica: id, exit: is.exit }
  }
}

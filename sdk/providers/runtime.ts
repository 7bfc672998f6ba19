import type { LineSink, LogLine } from '../log.ts'
import type { Artefact, ArtefactKind, Endpoint, RunSpec } from '../model/deployment.ts'
import { namedToken } from '../token.ts'

/** Every capability that there is. */
export const capabilities = ['exec', 'terminal', 'stats', 'limits', 'oom', 'logs', 'watch', 'keep'] as const
/**
 * What a runtime may be able to do beyond start, stop, remove and list. A spec that it cannot honour is refused when
 * planned. `oom`: it always tells an end by the memory limit from other ends; others may, and then it is true.
 */
export type Capability = (typeof capabilities)[number]

/** Whether a runtime can be used now. */
export interface Detection {
  readonly available: boolean
  /** For people: "Docker 20.10.24 at unix:///run/docker.sock", or why not. */
  readonly reason: string
  /** Higher is liked better when an app names no runtime: an engine 100, native 10. */
  readonly preference: number
}

/** One copy of a process, as the kernel wants it. Everything is decided; the runtime only carries it out. */
export interface ReplicaSpec {
  /** Rivetr's own id: the idempotency key, and part of the name that people see. */
  readonly id: string
  readonly app: { readonly id: string; readonly name: string }
  readonly deployment: string
  readonly release: number
  readonly artefact: Artefact
  readonly run: RunSpec
  /** The whole environment, byte for byte; PORT is in it where there is an endpoint. */
  readonly env: Readonly<Record<string, string>>
  /** As allotted; absent for processes without traffic. */
  readonly endpoint?: Endpoint | undefined
}

/** How a replica ended. */
export interface ReplicaExit {
  readonly exitCode: number
  /** Ended by the memory limit. */
  readonly oom: boolean
}

/** A replica as the runtime sees it. */
export interface ReplicaStatus {
  readonly id: string
  readonly appId: string
  readonly deployment: string
  readonly running: boolean
  /** Present once it ended. */
  readonly exit?: ReplicaExit | undefined
  /** Where it answers now, as the engine says: compared with the allotted one before traffic is sent. */
  readonly endpoint?: Endpoint | undefined
  /** ISO 8601. */
  readonly startedAt?: string | undefined
}

/** What a replica uses. */
export interface ReplicaStats {
  readonly at: string
  /** Total CPU time used, in milliseconds. */
  readonly cpuMs: number
  readonly memoryBytes: number
  readonly pids: number
}

/** A start or an end of a replica. */
export interface RuntimeEvent {
  readonly kind: 'started' | 'exited'
  readonly replica: string
  readonly exit?: ReplicaExit | undefined
}

/** How a one-off is followed and ended. */
export interface RunOptions {
  readonly onLine: LineSink
  readonly signal: AbortSignal
  /** A build step may write its folder; a replica may not. */
  readonly writable?: boolean
}

/** In characters. */
export interface TerminalSize {
  readonly columns: number
  readonly rows: number
}

/** What is run with a terminal. */
export interface TerminalOptions {
  readonly command: readonly string[]
  readonly size: TerminalSize
  /** Ends the command, too, where the engine can. */
  readonly signal: AbortSignal
}

/** A command inside a replica that has a terminal of its own. */
export interface Terminal {
  /** What it shows, as it comes; ends with the command, or when the signal aborts. To be read once. */
  readonly output: AsyncIterable<Uint8Array>
  /** What somebody typed. After the end of the command it is lost. */
  write(input: Uint8Array | string): void
  /** Of no effect after the end of the command. */
  resize(size: TerminalSize): Promise<void>
  /** Resolves when the command has ended. Errors: the signal's reason. */
  readonly exitCode: Promise<number>
}

/** Which lines of a replica. */
export interface LogOptions {
  readonly follow?: boolean
  /** How many of the last lines; absent: all. */
  readonly tail?: number
  /** Goes on after the line that had this `cursor`, also one of before a restart of the replica, the engine or Rivetr. */
  readonly after?: string | undefined
  readonly signal: AbortSignal
}

/**
 * Runs replicas on one kind of engine. Only what carries this instance's labels is ever listed, stopped or removed.
 * Errors: `unavailable` when the engine does not answer; `replica_failed` when the replica cannot be started.
 */
export interface Runtime {
  /** Which artefacts it runs. */
  readonly accepts: readonly ArtefactKind[]
  readonly capabilities: readonly Capability[]
  /** Whether the engine answers now, and why not. Never throws. */
  detect(signal: AbortSignal): Promise<Detection>
  /**
   * Chooses an endpoint for a replica before it is started, none of `taken`. Chosen by us, never by the engine:
   * engines hand addresses out anew when they restart.
   */
  allot(wanted: { readonly port: number; readonly taken: readonly Endpoint[] }): Promise<Endpoint>
  /** Idempotent by `spec.id`: a running one is left alone, a half-made one is finished. Resolves when the process was started. */
  start(spec: ReplicaSpec, signal: AbortSignal): Promise<void>
  /** A one-off: starts, waits for the end, removes. An abort stops it. */
  run(spec: ReplicaSpec, options: RunOptions): Promise<ReplicaExit>
  /**
   * From now on the engine itself starts this replica again when it ends and when the machine starts: its release is live,
   * and must come back without Rivetr. Undone by `stop`. Idempotent. A runtime without the capability `keep` does
   * nothing: there Rivetr alone starts replicas again.
   */
  keep(replica: string): Promise<void>
  /** Asks to end, waits `timeoutMs`, kills. Idempotent: a stopped or unknown one is fine. Resolves when nothing of it runs. */
  stop(replica: string, options: { readonly timeoutMs: number }): Promise<void>
  /** Removes a replica and all that belongs to it, running or not. Idempotent. */
  remove(replica: string): Promise<void>
  /** Every replica of this instance, running or not. */
  list(signal: AbortSignal): Promise<ReplicaStatus[]>
  /**
   * Where the processes of a replica wait for connections, as its endpoint is meant. Undefined where that cannot be seen
   * from here; absent where it never can. For hints alone: nothing is decided by it.
   */
  listening?(replica: string): Promise<Endpoint[] | undefined>
  logs(replica: string, options: LogOptions): AsyncIterable<LogLine>
  stats(replica: string): Promise<ReplicaStats>
  /** Runs a command inside the replica, with no terminal; `output` holds the first 64 KiB of both streams. */
  exec(
    replica: string,
    command: readonly string[],
    signal: AbortSignal,
  ): Promise<{ exitCode: number; output: string }>
  /** Runs a command inside the replica with a terminal; there where `terminal` is declared. */
  terminal?(replica: string, options: TerminalOptions): Promise<Terminal>
  /** Starts and ends of replicas, until the signal aborts; reconnects by itself. */
  watch(signal: AbortSignal): AsyncIterable<RuntimeEvent>
}

export const Runtime = namedToken<Runtime>('runtime')

import { type Clock, type Endpoint, type ReplicaExit, type ReplicaStatus, RivetrError } from '@rivetr/sdk'
import { listeningSockets } from '@rivetr/sdk/kit'
import {
  bootId,
  environmentOf,
  findProcess,
  memoryBytesOf,
  ownerOf,
  type ProcessEntry,
  processIds,
  socketsOf,
  ticksPerSecond,
  uidOf,
  variableOf,
} from './process-table.ts'
import type { ReplicaFolder, ReplicaRecord } from './replica-folder.ts'

/** The variable by which a process that left its session is still known as the replica's. */
export const marker = 'RIVETR_REPLICA'

const pollMs = 25
/** A killed process may hang in the disk for a while; for longer than this it is reported. */
const killLimitMs = 10_000
/** Of a replica that was killed together with its shim nobody could write down the exit code. */
export const killed: ReplicaExit = { exitCode: 128 + 9, oom: false }

/** A replica that was started at some time, by this kernel or one before it. */
export class Replica {
  readonly record: ReplicaRecord
  readonly #folder: ReplicaFolder

  constructor(record: ReplicaRecord, folder: ReplicaFolder) {
    this.record = record
    this.#folder = folder
  }

  get running(): boolean {
    const { leader, exitCode } = this.#folder.state()
    if (leader === undefined || exitCode !== undefined || this.record.bootId !== bootId()) return false
    return findProcess(leader.pid)?.startTicks === leader.startTicks
  }

  /** Undefined while it runs, and where its start has not come as far as its first process. */
  get exit(): ReplicaExit | undefined {
    if (this.running) return undefined
    const { leader, exitCode } = this.#folder.state() // after the process was seen to be gone: now it is written
    if (leader === undefined) return undefined
    return exitCode === undefined ? killed : { exitCode, oom: false }
  }

  get status(): ReplicaStatus {
    const { id, appId, deployment, endpoint, startedAt } = this.record
    const { running } = this
    return { id, appId, deployment, running, exit: running ? undefined : this.exit, endpoint, startedAt }
  }

  /** The leader's environment as it was given, byte for byte. */
  get environment(): Record<string, string> {
    const { leader } = this.#folder.state()
    return leader === undefined ? {} : environmentOf(leader.pid)
  }

  get usage(): { cpuMs: number; memoryBytes: number; pids: number } {
    const members = this.#members()
    return {
      cpuMs: (sum(members.map(({ cpuTicks }) => cpuTicks)) * 1_000) / ticksPerSecond,
      memoryBytes: sum(members.map(({ pid }) => memoryBytesOf(pid))),
      pids: members.length,
    }
  }

  /** The machine's sockets are everybody's: only those count that one of its processes holds. */
  get listening(): Endpoint[] {
    const members = this.#members()
    const [first] = members
    if (first === undefined) return []
    const held = new Set(members.flatMap(({ pid }) => socketsOf(pid)))
    return listeningSockets(first.pid).flatMap(({ address, port, inode }) =>
      held.has(inode) ? [{ address, port }] : [],
    )
  }

  /** Asks everything of it to end, waits, kills. Errors: `replica_failed` when something of it cannot be killed. */
  async stop(timeoutMs: number, clock: Clock): Promise<void> {
    const killAt = clock.now() + timeoutMs
    this.#terminate()
    // The look at everything in /proc comes last: it costs a hundred times the look at the leader.
    while (clock.now() < killAt && (this.running || this.#members().length > 0)) await clock.sleep(pollMs)
    await this.kill(clock)
  }

  /** Kills whatever still runs of it: what forks meanwhile is found in the next round. */
  async kill(clock: Clock): Promise<void> {
    const giveUpAt = clock.now() + killLimitMs
    for (let members = this.#members(); members.length > 0; members = this.#members()) {
      if (clock.now() > giveUpAt) {
        const pids = members.map(({ pid }) => pid).join(', ')
        throw new RivetrError('replica_failed', `cannot kill replica ${this.record.id}: ${pids} still runs`)
      }
      for (const { pid } of members) signal(pid, 'SIGKILL')
      await clock.sleep(pollMs)
    }
  }

  /** Hangs one session of it up, such as that of a terminal, and kills what is left of it after a grace. */
  async endSession(session: number, graceMs: number, clock: Clock): Promise<void> {
    for (const name of ['SIGHUP', 'SIGKILL'] as const) {
      for (const member of this.#members()) if (member.session === session) signal(member.pid, name)
      await clock.sleep(graceMs)
    }
  }

  #terminate(): void {
    const members = this.#members()
    const leader = this.#folder.state().leader?.pid
    if (leader !== undefined && members.some(({ group }) => group === leader)) signal(-leader, 'SIGTERM')
    for (const { pid, group } of members) if (group !== leader) signal(pid, 'SIGTERM')
  }

  /**
   * Everything that runs of it: its session, and what left the session but carries the marker. The number of a
   * session is not given anew while any of it lives; a leader of another start time means that all of it was gone.
   */
  #members(): ProcessEntry[] {
    const { id, uid } = this.record
    const { leader } = this.#folder.state()
    if (this.record.bootId !== bootId()) return []
    const current = leader === undefined ? undefined : findProcess(leader.pid)
    const reused = current !== undefined && current.startTicks !== leader?.startTicks
    return processIds().flatMap((pid) => {
      // Almost every process of the machine is somebody else's: that costs one look. What may not be inspected belongs
      // to root in /proc, whoever runs it.
      const owner = ownerOf(pid)
      if (owner !== uid && owner !== 0) return []
      const entry = findProcess(pid)
      if (entry === undefined) return []
      const inSession = !reused && entry.session === leader?.pid
      if (!inSession && owner !== uid) return []
      const marked = variableOf(pid, marker)
      const isOurs = marked === id || (marked === undefined && inSession)
      return isOurs && uidOf(pid) === uid ? [entry] : []
    })
  }
}

/** Sends a signal to a process, or to a group (a negative number); what has ended meanwhile is fine. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

import { join } from 'node:path'
import { type Clock, RivetrError } from '@rivetr/sdk'
import { Replica } from './replica.ts'
import { ReplicaFolder, replicaFolders } from './replica-folder.ts'
import { ReplicaLog } from './replica-log.ts'

interface ReplicaSetOptions {
  readonly dataDir: string
  readonly maxLogBytes: number
  readonly clock: Clock
}

/** All replicas of this Rivetr. What there are is in their folders alone; here is only what saves work. */
export class ReplicaSet {
  readonly #options: ReplicaSetOptions
  readonly #path: string
  readonly #logs = new Map<string, ReplicaLog>()
  /** Ended replicas of which nothing is left to do. */
  readonly #settled = new Set<string>()
  /** The last of those who wait for a replica, by its id. */
  readonly #turns = new Map<string, Promise<void>>()

  constructor(options: ReplicaSetOptions) {
    this.#options = options
    this.#path = join(options.dataDir, 'replicas')
  }

  folder(id: string): ReplicaFolder {
    return new ReplicaFolder(this.#path, id)
  }

  async all(): Promise<Replica[]> {
    const folders = await replicaFolders(this.#path)
    const replicas = await Promise.all(folders.map(replicaIn))
    return replicas.filter((replica) => replica !== undefined)
  }

  async find(id: string): Promise<Replica | undefined> {
    return await replicaIn(this.folder(id))
  }

  async get(id: string): Promise<Replica> {
    const replica = await this.find(id)
    if (replica === undefined) throw new RivetrError('not_found', `the native runtime has no replica ${id}`)
    return replica
  }

  log(id: string): ReplicaLog {
    const { maxLogBytes, clock } = this.#options
    const log = this.#logs.get(id) ?? new ReplicaLog(this.folder(id).path, maxLogBytes, clock)
    this.#logs.set(id, log)
    return log
  }

  async remove(id: string): Promise<void> {
    await (await this.find(id))?.stop(0, this.#options.clock)
    await this.folder(id).remove()
    this.#logs.delete(id)
    this.#settled.delete(id)
  }

  /** Takes what was printed into the logs, and ends what ended replicas have left running. */
  async tend(): Promise<void> {
    for (const { record } of await this.all())
      if (!this.#settled.has(record.id)) await this.inTurn(record.id, () => this.#settle(record.id))
  }

  async #settle(id: string): Promise<void> {
    const replica = await this.find(id)
    if (replica === undefined) return
    const ended = !replica.running
    this.log(id).tend(ended)
    if (!ended) return
    await replica.kill(this.#options.clock)
    this.#settled.add(id)
  }

  /** Starts and sweeps of one replica wait for each other: a sweep must not meet a process that is just being made. */
  async inTurn<T>(id: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(id)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#turns.set(id, promise)
    await before
    try {
      this.#settled.delete(id)
      return await work()
    } finally {
      resolve()
      if (this.#turns.get(id) === promise) this.#turns.delete(id)
    }
  }
}

async function replicaIn(folder: ReplicaFolder): Promise<Replica | undefined> {
  const record = await folder.find()
  return record === undefined ? undefined : new Replica(record, folder)
}

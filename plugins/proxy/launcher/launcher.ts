import { spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { EdgeSlot } from './edge-slot.ts'
import { log } from './log.ts'
import { endOrphans } from './orphans.ts'
import {
  type EdgeCommand,
  type EdgeStats,
  type Hello,
  type Hold,
  type LauncherCommand,
  type LauncherSettings,
  listenFd,
  protocol,
  type TableText,
} from './protocol.ts'
import { edgeFolder, newestSnapshot } from './snapshot.ts'

/** How long a command waits for a first edge when none lives. */
const noEdgeLimitMs = 5_000
/** How long commands wait for orphans to go: they serve an older table. Those that still drain then have a stream open. */
const orphanLimitMs = 3_000

/** Keeps the edges running and tells them all the same. Knows the table in force, for edges that start later. */
export class Launcher {
  #table: TableText | undefined
  /** Held apps, and when each is let go by itself. */
  readonly #heldUntilMs = new Map<string, number>()
  readonly #slots: EdgeSlot[]
  /** Resolves when no edge of a launcher that was killed takes requests any more. */
  readonly #alone: Promise<void>
  readonly #settings: LauncherSettings

  constructor(settings: LauncherSettings) {
    this.#settings = settings
    this.#table = newestSnapshot(settings.folder)
    const inForce = { table: () => this.#table, holds: () => this.#holds() }
    this.#slots = Array.from(
      { length: settings.edges },
      (_, slot) => new EdgeSlot(settings.edge, edgeFolder(settings.folder, slot), inForce),
    )
    this.#alone = this.#serving().then(() =>
      endOrphans(settings.folder, settings.edge.drainMs, orphanLimitMs),
    )
  }

  async run(command: Exclude<LauncherCommand, { do: 'stop' }>): Promise<unknown> {
    switch (command.do) {
      case 'hello':
        return { protocol, pid: process.pid, settings: this.#settings } satisfies Hello
      case 'ready':
        return this.#serving()
      case 'apply':
        return this.#apply(command.table)
      case 'hold':
        this.#heldUntilMs.set(command.app, performance.now() + command.limitMs)
        return void (await this.#tellAll(command))
      case 'release':
        this.#heldUntilMs.delete(command.app)
        return void (await this.#tellAll(command))
      case 'stats':
        return this.#stats()
      case 'supersede':
        return this.#supersede(command.argv)
      case 'replace':
        return this.replace()
    }
  }

  /** Rejects when a new edge does not come to serve; those not yet replaced go on then. */
  async replace(): Promise<void> {
    for (const slot of this.#slots) await slot.replace()
  }

  /** Frees the port and drains all edges at once; resolves when they are gone. */
  async close(): Promise<void> {
    closeSync(listenFd)
    const { folder, edge } = this.#settings
    await Promise.all([
      endOrphans(folder, edge.drainMs, edge.drainMs),
      ...this.#slots.map((slot) => slot.close(edge.drainMs)),
    ])
  }

  async #serving(): Promise<void> {
    await Promise.all(this.#slots.map((slot) => slot.serving))
  }

  async #apply(table: TableText): Promise<void> {
    const current = this.#table
    if (current !== undefined && isOlder(table, current)) {
      throw Object.assign(
        new Error(
          `the table of epoch ${table.epoch}, generation ${table.generation} is older than the one in force ` +
            `(epoch ${current.epoch}, generation ${current.generation}); another kernel has taken over, stop this one`,
        ),
        { code: 'conflict' },
      )
    }
    this.#table = table
    await this.#tellAll({ do: 'apply', table })
  }

  async #stats(): Promise<{ edges: number; epoch: number; generation: number } & Omit<EdgeStats, 'serves'>> {
    const told = (await this.#tellAll({ do: 'stats' })) as EdgeStats[]
    const inFlight: Record<string, number> = {}
    for (const edge of told) {
      for (const [replica, count] of Object.entries(edge.inFlight))
        inFlight[replica] = (inFlight[replica] ?? 0) + count
    }
    const requests = told.reduce((sum, edge) => sum + edge.requests, 0)
    return {
      edges: told.filter(({ serves }) => serves).length,
      epoch: this.#table?.epoch ?? 0,
      generation: this.#table?.generation ?? 0,
      inFlight,
      requests,
    }
  }

  /**
   * Answers of all edges that gave one. An edge that dies meanwhile is left out: its successor begins with what is in
   * force. Only when none answered, the first that comes to serve is waited for.
   */
  async #tellAll(command: EdgeCommand): Promise<unknown[]> {
    await this.#alone
    const ask = async () => (await Promise.all(this.#slots.map((slot) => slot.tell(command)))).flat()
    const answers = await ask()
    if (answers.length > 0) return answers
    const first = Promise.any(this.#slots.map((slot) => slot.serving))
    const late = new AbortController()
    await Promise.race([
      first,
      sleep(noEdgeLimitMs, undefined, { signal: late.signal }).catch(() => undefined),
    ])
    late.abort()
    const again = await ask()
    if (again.length > 0) return again
    throw Object.assign(new Error(`no edge answers; see the launcher's log in ${this.#settings.folder}`), {
      code: 'unavailable',
    })
  }

  #holds(): Hold[] {
    const nowMs = performance.now()
    const holds: Hold[] = []
    for (const [app, untilMs] of this.#heldUntilMs) {
      if (untilMs > nowMs) holds.push({ app, limitMs: untilMs - nowMs })
      else this.#heldUntilMs.delete(app)
    }
    return holds
  }

  /** The successor inherits the listening socket itself: there is no moment at which nobody listens. */
  #supersede([program, ...args]: readonly [string, ...string[]]): void {
    const child = spawn(program, args, {
      cwd: this.#settings.folder,
      env: process.env,
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit', listenFd],
    })
    child.on('error', (error) => log('the successor cannot be started', { program, error: error.message }))
    child.unref()
    log('superseded', { successor: child.pid })
  }
}

function isOlder(a: TableText, b: TableText): boolean {
  return a.epoch < b.epoch || (a.epoch === b.epoch && a.generation < b.generation)
}

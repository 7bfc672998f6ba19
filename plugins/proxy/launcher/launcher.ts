import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { EdgeSlot } from './edge-slot.ts'
import { log } from './log.ts'
import { endOrphans } from './orphans.ts'
import {
  type Applied,
  type EdgeCommand,
  type EdgeStats,
  type Hello,
  type Hold,
  type LauncherCommand,
  type LauncherSettings,
  listenFds,
  protocol,
  type TableText,
  type TableUpdate,
  type WholeTable,
} from './protocol.ts'
import { edgeFolder, newestSnapshot } from './snapshot.ts'
import { TapsInForce } from './taps.ts'

/** How long a command waits for a first edge when none lives. */
const noEdgeLimitMs = 5_000
/** After so long, nobody who gets hold of a secret can read the sessions of before any more (RFC 9325 §3.4). */
const ticketSecretLifeMs = 12 * 3_600_000
/**
 * What is open at an edge that was replaced goes on for so long: nobody whose stream or WebSocket it is has asked for
 * another edge. A launcher that is to end meanwhile gives them its `drainMs`.
 */
export const replacedDrainMs = 24 * 3_600_000
/** How long commands wait for orphans to go: they serve an older table. Those that still drain then have a stream open. */
const orphanLimitMs = 3_000

/** Keeps the edges running and tells them all the same. Knows the table in force, for edges that start later. */
export class Launcher {
  #whole: WholeTable | undefined
  /** Held apps, and when each is let go by itself. */
  readonly #heldUntilMs = new Map<string, number>()
  readonly #taps: TapsInForce
  #ticketSecret = newTicketSecret()
  readonly #slots: EdgeSlot[]
  #closed = false
  /** Resolves when no edge of a launcher that was killed takes requests any more. */
  readonly #alone: Promise<void>
  readonly #settings: LauncherSettings

  constructor(settings: LauncherSettings) {
    this.#settings = settings
    this.#whole = newestSnapshot(settings.folder)
    this.#taps = new TapsInForce(settings.folder)
    const inForce = {
      table: () => this.#whole,
      holds: () => this.#holds(),
      taps: () => this.#taps.list,
      ticketSecret: () => this.#ticketSecret,
      crashed: () => this.#crashed(),
    }
    if (settings.tlsPort !== null)
      setInterval(() => void this.#changeTicketSecret(), ticketSecretLifeMs).unref()
    this.#slots = Array.from(
      { length: settings.edges },
      (_, slot) => new EdgeSlot(settings, edgeFolder(settings.folder, slot), inForce),
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
        return this.#apply(command)
      case 'hold':
        this.#heldUntilMs.set(command.app, performance.now() + command.limitMs)
        return void (await this.#tellAll(command))
      case 'release':
        this.#heldUntilMs.delete(command.app)
        return void (await this.#tellAll(command))
      case 'taps':
        if (this.#taps.replace(command.taps)) await this.#tellTaps()
        return
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
    for (const slot of this.#slots) await slot.replace(replacedDrainMs)
  }

  /** Frees the ports and drains all edges at once; resolves when they are gone. A second call may give them less time. */
  async close(drainMs: number): Promise<void> {
    if (!this.#closed) for (const fd of listenFds(this.#settings)) closeSync(fd)
    this.#closed = true
    const { folder, edge } = this.#settings
    await Promise.all([
      endOrphans(folder, edge.drainMs, edge.drainMs),
      ...this.#slots.map((slot) => slot.close(drainMs)),
    ])
  }

  async #serving(): Promise<void> {
    await Promise.all(this.#slots.map((slot) => slot.serving))
  }

  async #apply({ table, certificates = this.#whole?.certificates }: TableUpdate): Promise<Applied> {
    const current = this.#whole?.table
    if (current !== undefined && isOlder(table, current)) {
      throw Object.assign(
        new Error(
          `the table of epoch ${table.epoch}, generation ${table.generation} is older than the one in force ` +
            `(epoch ${current.epoch}, generation ${current.generation}); another kernel has taken over, stop this one`,
        ),
        { code: 'conflict' },
      )
    }
    if (certificates?.revision !== table.certificates) return { wants: 'certificates' }
    this.#whole = { table, certificates }
    await this.#tellAll({ do: 'apply', ...this.#whole })
    return {}
  }

  #crashed(): void {
    if (this.#taps.crashed())
      this.#tellTaps().catch((error) => log('edges still have the taps', { error: String(error) }))
  }

  async #tellTaps(): Promise<void> {
    await this.#tellAll({ do: 'taps', taps: this.#taps.list })
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
      epoch: this.#whole?.table.epoch ?? 0,
      generation: this.#whole?.table.generation ?? 0,
      inFlight,
      requests,
      taps: this.#taps.stats(told.map(({ taps }) => taps)),
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

  /** An edge that does not hear of it is one that dies; its successor begins with what is in force. */
  async #changeTicketSecret(): Promise<void> {
    this.#ticketSecret = newTicketSecret()
    await this.#tellAll({ do: 'ticketSecret', secret: this.#ticketSecret }).catch(() => undefined)
  }

  /** The successor inherits the listening sockets themselves: there is no moment at which nobody listens. */
  #supersede([program, ...args]: readonly [string, ...string[]]): void {
    const child = spawn(program, args, {
      cwd: this.#settings.folder,
      env: process.env,
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit', ...listenFds(this.#settings)],
    })
    child.on('error', (error) => log('the successor cannot be started', { program, error: error.message }))
    child.unref()
    log('superseded', { successor: child.pid })
  }
}

function newTicketSecret(): string {
  return randomBytes(32).toString('base64')
}

function isOlder(a: TableText, b: TableText): boolean {
  return a.epoch < b.epoch || (a.epoch === b.epoch && a.generation < b.generation)
}

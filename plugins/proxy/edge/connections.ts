import { type Carried, Connection, type ConnectionOwner, type ConnectionSettings } from './connection.ts'

/** More requests than this at once wait for a connection; far above what one replica answers well. */
const connectionsLimit = 1_024
const longestSweepMs = 500
const standstillMs = 1_000

/**
 * The connections to one endpoint. A request is sent at the end of the turn of the event loop in which it came, and on
 * a connection that has been idle for a turn: whatever the endpoint had sent or closed out of order was read by then,
 * and cannot be taken for an answer.
 */
export class Connections implements ConnectionOwner {
  readonly #open = new Set<Connection>()
  /** The one used last comes last, and is used first: the others may time out. */
  readonly #idle: Connection[] = []
  #resting: Connection[] = []
  #due: Carried[] = []
  #waiting: { readonly carried: Carried; readonly untilMs: number }[] = []
  #turn: NodeJS.Immediate | undefined
  #sweeper: NodeJS.Timeout | undefined
  #sweptAtMs = 0
  #retired = false
  readonly #address: string
  readonly #port: number
  readonly #settings: ConnectionSettings

  constructor(address: string, port: number, settings: ConnectionSettings) {
    this.#address = address
    this.#port = port
    this.#settings = settings
  }

  send(carried: Carried): void {
    this.#due.push(carried)
    this.#turn ??= setImmediate(() => this.#endTurn())
  }

  /** On a connection that no earlier request has used. */
  sendFresh(carried: Carried): void {
    this.#connect().carry(carried)
  }

  /** Lets what is on its way finish, then closes the connections. */
  retire(): void {
    this.#retired = true
    for (const connection of [...this.#idle, ...this.#resting]) connection.abandon()
  }

  released(connection: Connection): void {
    if (this.#retired && this.#due.length + this.#waiting.length === 0) connection.abandon()
    else {
      this.#resting.push(connection)
      this.#turn ??= setImmediate(() => this.#endTurn())
    }
  }

  ended(connection: Connection): void {
    this.#open.delete(connection)
    for (const list of [this.#idle, this.#resting]) {
      const index = list.indexOf(connection)
      if (index >= 0) list.splice(index, 1)
    }
    if (this.#waiting.length > 0) this.#turn ??= setImmediate(() => this.#endTurn())
    if (this.#open.size === 0 && this.#waiting.length === 0) {
      clearInterval(this.#sweeper)
      this.#sweeper = undefined
    }
  }

  #endTurn(): void {
    this.#turn = undefined
    const room = this.#idle.length + connectionsLimit - this.#open.size
    const due = [...this.#waiting.splice(0, room).map(({ carried }) => carried), ...this.#due]
    this.#due = []
    for (const carried of due) {
      if (carried.gone) continue
      const connection =
        this.#idle.pop() ?? (this.#open.size < connectionsLimit ? this.#connect() : undefined)
      if (connection !== undefined) connection.carry(carried)
      else this.#waiting.push({ carried, untilMs: performance.now() + carried.firstByteTimeoutMs })
    }
    if (this.#resting.length === 0) return
    this.#idle.push(...this.#resting)
    this.#resting = []
    if (this.#waiting.length > 0) this.#turn = setImmediate(() => this.#endTurn())
  }

  #connect(): Connection {
    const connection = new Connection(this.#address, this.#port, this.#settings, this)
    this.#open.add(connection)
    this.#sweeper ??= this.#startSweeper()
    return connection
  }

  /** One timer in place of one per request: limits of seconds need no better. */
  #startSweeper(): NodeJS.Timeout {
    const { connectTimeoutMs, firstByteTimeoutMs, streamIdleTimeoutMs } = this.#settings
    const shortestMs = Math.min(connectTimeoutMs, firstByteTimeoutMs, streamIdleTimeoutMs)
    const everyMs = Math.max(10, Math.min(longestSweepMs, shortestMs / 4))
    this.#sweptAtMs = performance.now()
    return setInterval(() => this.#sweep(everyMs), everyMs).unref()
  }

  #sweep(everyMs: number): void {
    const nowMs = performance.now()
    const sinceMs = nowMs - this.#sweptAtMs
    this.#sweptAtMs = nowMs
    if (sinceMs > everyMs + standstillMs) return // the process stood still: what came meanwhile is read first
    for (const connection of this.#open) if (connection.deadlineMs < nowMs) connection.expire()
    while (this.#waiting[0] !== undefined && this.#waiting[0].untilMs < nowMs)
      this.#waiting.shift()?.carried.onLost('late')
  }
}

/**
 * What control half, launcher and edges say to each other. Types and constants only: the launcher loads next to
 * nothing, and all three may be of different releases of Rivetr for a moment.
 */

/**
 * Changes whenever a message changes its meaning. A launcher of another protocol is asked to stop, and nothing else:
 * `hello` and `stop` stay as they are for ever.
 */
export const protocol = 1

/** The listening socket, in the launcher and in every edge (systemd's first socket has the same number). */
export const listenFd = 3

export interface LauncherSettings {
  /** Release of the plugin: after an upgrade the launcher and its edges are superseded. */
  readonly version: string
  /** Unix socket on which the control half reaches the launcher. */
  readonly socket: string
  /** Has a folder per edge, with its snapshot of the table. */
  readonly folder: string
  /** As configured. */
  readonly address: string
  readonly port: number
  readonly edges: number
  readonly edge: EdgeSettings
}

export interface EdgeSettings {
  readonly headersTimeoutMs: number
  readonly keepAliveTimeoutMs: number
  readonly uploadIdleTimeoutMs: number
  readonly connectTimeoutMs: number
  readonly firstByteTimeoutMs: number
  readonly streamIdleTimeoutMs: number
  readonly drainMs: number
  /** Addresses or CIDR ranges whose forwarding fields are believed. */
  readonly trustedProxies: readonly string[]
}

/** A table as it travels and rests: its JSON text, so that the launcher need not read it. */
export interface TableText {
  readonly epoch: number
  readonly generation: number
  readonly text: string
}

export interface Hold {
  readonly app: string
  readonly limitMs: number
}

export interface EdgeStats {
  readonly inFlight: Readonly<Record<string, number>>
  readonly requests: number
  /** False while it drains. */
  readonly serves: boolean
}

/** What the launcher asks of an edge. `serve` comes first, once; only then the edge accepts connections. */
export type EdgeCommand =
  | { readonly do: 'serve'; readonly table: TableText | undefined; readonly holds: readonly Hold[] }
  | { readonly do: 'apply'; readonly table: TableText }
  | ({ readonly do: 'hold' } & Hold)
  | { readonly do: 'release'; readonly app: string }
  | { readonly do: 'stats' }
  | { readonly do: 'ping' }
  | { readonly do: 'drain'; readonly limitMs: number }

/** What the control half asks of the launcher. */
export type LauncherCommand =
  | { readonly do: 'hello' }
  | { readonly do: 'ready' }
  | { readonly do: 'apply'; readonly table: TableText }
  | ({ readonly do: 'hold' } & Hold)
  | { readonly do: 'release'; readonly app: string }
  | { readonly do: 'stats' }
  /** Hand the listening socket to a new launcher. The old one drains once the connection that asked closes. */
  | { readonly do: 'supersede'; readonly argv: readonly [string, ...string[]] }
  /** Start the edges anew, one by one, each before the one in its place drains. */
  | { readonly do: 'replace' }
  | { readonly do: 'stop' }

export interface Hello {
  readonly protocol: number
  readonly pid: number
  readonly settings: LauncherSettings
}

export type Numbered<Command> = Command & { readonly id: number }

export interface Answer {
  readonly id: number
  readonly result?: unknown
  readonly error?: { readonly code: 'conflict' | 'unavailable' | 'internal'; readonly message: string }
}

/** An edge says this when its code is loaded and its privileges are dropped. */
export interface Loaded {
  readonly loaded: true
}

/**
 * What control half, launcher and edges say to each other. Types and numbers only: the launcher loads next to
 * nothing, and all three may be of different releases of Rivetr for a moment.
 */
import type { EdgeTapStats, RouteTable, TableCertificate } from '@rivetr/sdk'
import type { EdgeConfig } from '@rivetr/sdk/edge'

/**
 * Changes whenever a message changes its meaning. A launcher of another protocol is asked to stop, and nothing else:
 * `hello` and `stop` stay as they are for ever.
 */
export const protocol = 3

/**
 * The listening sockets, in the keeper, the launcher and every edge, by the numbers that systemd gives to the first two
 * of a unit (sd_listen_fds(3)). Without HTTPS there is only the first, and the second number means nothing.
 */
export const listenFd = 3
export const tlsListenFd = 4

/** The listening sockets there are, in the order of their numbers from 3 on. */
export function listenFds({ tlsPort }: Pick<LauncherSettings, 'tlsPort'>): number[] {
  return tlsPort === null ? [listenFd] : [listenFd, tlsListenFd]
}

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
  /** Null: no HTTPS. */
  readonly tlsPort: number | null
  readonly edges: number
  readonly edge: Omit<EdgeSettings, 'tlsPort'>
}

export interface EdgeSettings {
  /** Where the edges serve HTTPS; null: nowhere. */
  readonly tlsPort: number | null
  readonly handshakeTimeoutMs: number
  readonly headersTimeoutMs: number
  readonly keepAliveTimeoutMs: number
  readonly uploadIdleTimeoutMs: number
  readonly connectTimeoutMs: number
  readonly firstByteTimeoutMs: number
  readonly streamIdleTimeoutMs: number
  readonly drainMs: number
  /** Addresses or CIDR ranges whose forwarding fields are believed. */
  readonly trustedProxies: readonly string[]
  /** Every connection begins with a PROXY header of one of them. */
  readonly proxyProtocol: boolean
  /** `errors`: what ended badly, and answers of 500 and above. */
  readonly accessLog: 'off' | 'errors' | 'all'
  /** A file of this size is put aside. */
  readonly accessLogFileBytes: number
  /** How many files are kept besides the one that is written. */
  readonly accessLogFiles: number
}

/** The taps of one plugin in the edges. */
export interface EdgeTaps {
  readonly plugin: string
  /** Path of the module. */
  readonly file: string
  /** Another one when the code is another. */
  readonly revision: string
  readonly config: EdgeConfig
}

/** What of a table changes with every deployment: all but its certificates. */
export type RoutesContent = Omit<RouteTable, 'certificates'>

/** What of a table is large and changes seldom. */
export interface CertificatesContent {
  readonly certificates?: readonly TableCertificate[] | undefined
  /** A certificate that nobody trusts, and its key, PEM: for hosts that no other one covers. */
  readonly fallback?: { readonly chain: string; readonly key: string } | undefined
}

/** A table as edges serve it. */
export type TableContent = RoutesContent & CertificatesContent

/** A table as it travels and rests: the JSON text of its routes, so that the launcher need not read it. */
export interface TableText {
  readonly epoch: number
  readonly generation: number
  readonly text: string
  /** The revision of the certificates that belong to it. They travel and rest apart, and only when they are others. */
  readonly certificates: string
}

/** The certificates of tables as they travel and rest. */
export interface CertificatesText {
  /** Follows from the text: see `revisionOf`. */
  readonly revision: string
  readonly text: string
}

/** A table with all that belongs to it. */
export interface WholeTable {
  readonly table: TableText
  readonly certificates: CertificatesText
}

/** Left out where whoever is told has those of this revision. */
export interface TableUpdate {
  readonly table: TableText
  readonly certificates?: CertificatesText | undefined
}

/** What the launcher says to a table: it is in force on every edge, or only once its certificates are sent with it. */
export interface Applied {
  readonly wants?: 'certificates' | undefined
}

export interface Hold {
  readonly app: string
  readonly limitMs: number
}

export interface EdgeStats {
  readonly inFlight: Readonly<Record<string, number>>
  readonly requests: number
  readonly taps: readonly EdgeTapStats[]
  /** False while it drains. */
  readonly serves: boolean
}

/** What the launcher asks of an edge. `serve` comes first, once; only then the edge accepts connections. */
export type EdgeCommand =
  | {
      readonly do: 'serve'
      readonly table: WholeTable | undefined
      readonly holds: readonly Hold[]
      readonly taps: readonly EdgeTaps[]
      readonly ticketSecret: string
    }
  /** These taps in place of those that it has. */
  | { readonly do: 'taps'; readonly taps: readonly EdgeTaps[] }
  | ({ readonly do: 'apply' } & TableUpdate)
  | ({ readonly do: 'hold' } & Hold)
  | { readonly do: 'release'; readonly app: string }
  /** From it follow the keys of TLS sessions that clients keep: the same on every edge, and never on a disk. */
  | { readonly do: 'ticketSecret'; readonly secret: string }
  | { readonly do: 'stats' }
  | { readonly do: 'ping' }
  | { readonly do: 'drain'; readonly limitMs: number }

/** What the control half asks of the launcher. */
export type LauncherCommand =
  | { readonly do: 'hello' }
  | { readonly do: 'ready' }
  /** Answered with `Applied`. */
  | ({ readonly do: 'apply' } & TableUpdate)
  | ({ readonly do: 'hold' } & Hold)
  | { readonly do: 'release'; readonly app: string }
  | { readonly do: 'taps'; readonly taps: readonly EdgeTaps[] }
  | { readonly do: 'stats' }
  /** Hand the listening sockets to a new launcher. The old one drains once the connection that asked closes. */
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

/** Structured log; `fields` are plain data. The request id and the plugin's name are added by the kernel. */
export interface Logger {
  debug(message: string, fields?: Record<string, unknown>): void
  info(message: string, fields?: Record<string, unknown>): void
  warn(message: string, fields?: Record<string, unknown>): void
  error(message: string, fields?: Record<string, unknown>): void
  /** A logger that adds these fields to every line. */
  child(fields: Record<string, unknown>): Logger
}

/** Where a line comes from. */
export type LogStream = 'stdout' | 'stderr' | 'rivetr'

/** One line of a deployment's log or of a replica's output. */
export interface LogLine {
  /** Grows by one per line within its log; what `?after=` names. */
  seq: number
  /** ISO 8601 with milliseconds. */
  at: string
  /** `rivetr` is what Rivetr itself says in a deployment's log. */
  stream: LogStream
  text: string
  /** The step of a deployment; of an app the process and its number ("web.1"). */
  from?: string | undefined
  /** The id of the replica that printed it. */
  replica?: string | undefined
  /** Where it stands in the log of its replica: for `LogOptions.after`, and of no meaning to anybody but the runtime. */
  cursor?: string | undefined
}

/** As people read it: `2027-01-31T12:00:00.000Z web.1 ready`. */
export function lineText({ at, from, text }: Pick<LogLine, 'at' | 'from' | 'text'>): string {
  return `${at} ${from === undefined ? '' : `${from} `}${text}`
}

/** Where a step, a builder or a source writes what a person will read. Secrets are masked on the way. */
export type LineSink = (text: string, stream?: LogStream) => void

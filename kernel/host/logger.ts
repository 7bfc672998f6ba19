import type { Logger } from '@rivetr/sdk'
import { pino } from 'pino'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** JSON lines on standard output, or on the stream given. */
export function createLogger(level: LogLevel, stream?: { write(line: string): void }): Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  return wrap(stream === undefined ? pino(options) : pino(options, stream))
}

/** pino takes fields first; people write the message first. */
function wrap(inner: Pick<pino.Logger, 'debug' | 'info' | 'warn' | 'error' | 'child'>): Logger {
  return {
    debug: (message, fields) => inner.debug(fields ?? {}, message),
    info: (message, fields) => inner.info(fields ?? {}, message),
    warn: (message, fields) => inner.warn(fields ?? {}, message),
    error: (message, fields) => inner.error(fields ?? {}, message),
    child: (fields) => wrap(inner.child(fields)),
  }
}

/** An error as log fields: message, code, stack and the chain of causes. */
export function errorFields(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { error: String(error) }
  const { code } = error as { code?: unknown }
  const cause = error.cause === undefined ? {} : { cause: errorFields(error.cause) }
  return { error: error.message, ...(code === undefined ? {} : { code }), stack: error.stack, ...cause }
}

import { type ErrorCode, RivetrError } from '@rivetr/sdk'

const codes: Readonly<Record<number, ErrorCode>> = { 400: 'invalid_input', 404: 'not_found', 409: 'conflict' }

/** An answer of the engine that is not a success, in the engine's own words. */
export function refusedByEngine(
  engine: string,
  request: string,
  status: number,
  message: string,
): RivetrError {
  return new RivetrError(codes[status] ?? 'internal', `${engine} refused ${request}: ${message}`, {
    details: { engineStatus: status, engineMessage: message },
  })
}

/** The HTTP status with which the engine refused, or undefined for any other error. */
export function engineStatus(error: unknown): number | undefined {
  const status = RivetrError.is(error) ? error.details.engineStatus : undefined
  return typeof status === 'number' ? status : undefined
}

/** What the engine said when it refused. */
export function engineMessage(error: unknown): string | undefined {
  const message = RivetrError.is(error) ? error.details.engineMessage : undefined
  return typeof message === 'string' ? message : undefined
}

/** No answer at all: says which engine, why, and what to do. */
export function engineSilent(engine: string, cause: unknown): RivetrError {
  const { code } = cause as NodeJS.ErrnoException
  const advice: Record<string, string> = {
    ENOENT: 'there is no such socket; is the engine installed and running?',
    ECONNREFUSED: 'nothing listens there; start the engine',
    EACCES: 'Rivetr may not open the socket; run it as root or as a member of the group that owns the socket',
  }
  const why = (code && advice[code]) ?? (cause instanceof Error ? cause.message : String(cause))
  return new RivetrError('unavailable', `${engine} does not answer: ${why}`, { cause })
}

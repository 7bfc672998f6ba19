/** Every error code of Rivetr with its HTTP status. A code is stable: clients may branch on it, never on a message. */
export const errorCodes = Object.freeze({
  /** The input does not have the right shape; `details.issues` is a list of `{ path, message }`. */
  invalid_input: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  /** The thing is in a state in which this is not possible; the message says which. */
  conflict: 409,
  too_large: 413,
  /** The body is of a content type or encoding that the route does not take. */
  unsupported_media_type: 415,
  /** A gate (a plugin's tap) refused; `details` names `plugin` and `hook`. */
  refused: 422,
  too_many_requests: 429,
  /** Whoever asked for the work took it back. */
  cancelled: 499,
  internal: 500,
  /** A provider, an engine or a plugin that is needed is not there now; trying again later may help. */
  unavailable: 503,
  timed_out: 504,
  /** Another program listens where Rivetr is told to; start-up stops. */
  address_in_use: 500,
  /** `rivetr.toml` or the environment is wrong; start-up stops. */
  config_invalid: 500,
  /** The data folder cannot be used: unwritable, corrupt, of a newer version or in use by another Rivetr. */
  data_unusable: 500,
  /** A plugin's manifest or set-up is wrong. */
  plugin_invalid: 500,
  plugin_failed: 500,
  /** The source could not be fetched: unknown commit, no access, not a repository. */
  source_failed: 422,
  build_failed: 422,
  /** A replica ended, or never started. */
  replica_failed: 422,
  /** A replica did not become healthy in time. */
  unhealthy: 422,
})

/** A code of the table `errorCodes`. */
export type ErrorCode = keyof typeof errorCodes

/** What an error carries besides its message. */
export interface ErrorOptions {
  /** Plain data for machines; never a secret. */
  details?: Record<string, unknown>
  cause?: unknown
}

/**
 * The one error class. The message says what failed, on what, and what to do next, in that order.
 *
 * @example throw new RivetrError('not_found', `no app "${name}"; "rivetr apps list" shows all`)
 */
export class RivetrError extends Error {
  readonly code: ErrorCode
  /** The HTTP status that a REST answer carries. */
  readonly status: number
  readonly details: Record<string, unknown>

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'RivetrError'
    this.code = code
    this.status = errorCodes[code]
    this.details = options.details ?? {}
  }

  /** True for an error of ours with this code, also when it comes from another copy of the sdk. */
  static is(error: unknown, code?: ErrorCode): error is RivetrError {
    return (
      error instanceof Error &&
      error.name === 'RivetrError' &&
      (code === undefined || (error as RivetrError).code === code)
    )
  }
}

/** What an unknown thrown value says, for a message. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** What went wrong with a call. `code` is one of the sdk's error codes, or `unreachable` when nobody answered (status 0). */
export class ApiError extends Error {
  readonly code: string
  readonly status: number
  readonly details: Record<string, unknown>
  /** Under which the server's log has more. */
  readonly requestId: string | undefined

  constructor(
    code: string,
    status: number,
    message: string,
    more: { details?: Record<string, unknown>; requestId?: string; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause })
    this.name = 'ApiError'
    this.code = code
    this.status = status
    this.details = more.details ?? {}
    this.requestId = more.requestId
  }
}

/** The error that an answer carries; anything but Rivetr's shape comes from something in between. */
export function errorOf(status: number, body: unknown): ApiError {
  const { error } = (body ?? {}) as {
    error?: { code?: unknown; message?: unknown; details?: Record<string, unknown>; requestId?: string }
  }
  if (typeof error?.code !== 'string')
    return new ApiError('internal', status, `status ${status} from something that is not Rivetr's API`)
  const { code, message, details, requestId } = error
  return new ApiError(code, status, String(message), {
    ...(details && { details }),
    ...(requestId && { requestId }),
  })
}

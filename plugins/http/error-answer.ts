import { RivetrError } from '@rivetr/sdk'

export interface ErrorAnswer {
  readonly error: {
    readonly code: string
    readonly message: string
    readonly details?: Record<string, unknown>
    readonly requestId: string
  }
}

/**
 * The error as the caller sees it. What is not ours says nothing of its inside, and to strangers our own failures
 * do not either: the request id leads to the log.
 */
export function errorAnswer(
  error: unknown,
  requestId: string,
  known: boolean,
): { status: number; body: ErrorAnswer } {
  if (!RivetrError.is(error) || (error.status === 500 && !known)) {
    const message = `something failed inside of Rivetr; its log has more under request ${requestId}`
    return { status: 500, body: { error: { code: 'internal', message, requestId } } }
  }
  const { code, message, status, details } = error
  const some = Object.keys(details).length > 0
  return { status, body: { error: { code, message, ...(some ? { details } : {}), requestId } } }
}

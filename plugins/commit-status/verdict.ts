import type { Answer } from './exchange.ts'

/** What is to be done after an answer. */
export type Verdict =
  | { readonly kind: 'sent' }
  /** `at`: when the git host said, in milliseconds since the epoch; else after a growing pause. */
  | { readonly kind: 'again'; readonly reason: string; readonly at?: number | undefined }
  | { readonly kind: 'given-up'; readonly reason: string }

const mostWaitMs = 24 * 60 * 60_000
const passing = [408, 409, 423, 425, 429, 500, 502, 503, 504]

const hints: Readonly<Record<number, string>> = {
  401: 'the token is not taken; set another one',
  403: 'the token may not set statuses of this repository',
  404: 'there is no such repository or commit for this token',
}

export function verdictOn(answer: Answer, nowMs: number): Verdict {
  const { status, headers } = answer
  if (status >= 200 && status < 300) return { kind: 'sent' }
  const hint = hints[status]
  const reason = [`${status}`, ...(answer.message === '' ? [] : [answer.message])].join(': ')
  const at = retryAt(headers, nowMs)
  // GitHub Docs, "Rate limits for the REST API": 403 or 429, with retry-after, or with x-ratelimit-remaining at 0.
  const limited = status === 429 || (status === 403 && at !== undefined)
  if (limited || passing.includes(status)) return { kind: 'again', reason, at }
  return { kind: 'given-up', reason: hint === undefined ? reason : `${reason} (${hint})` }
}

/** RFC 9110, section 10.2.3: seconds, or a date. GitHub's x-ratelimit-reset is "in UTC epoch seconds". Never more than a day. */
function retryAt(headers: Headers, nowMs: number): number | undefined {
  const after = headers.get('retry-after')?.trim()
  const reset = headers.get('x-ratelimit-remaining') === '0' ? headers.get('x-ratelimit-reset') : null
  const at =
    after === undefined
      ? Number(reset ?? Number.NaN) * 1_000
      : /^\d{1,9}$/.test(after)
        ? nowMs + Number(after) * 1_000
        : Date.parse(after)
  return Number.isNaN(at) ? undefined : Math.min(Math.max(at, nowMs + 1_000), nowMs + mostWaitMs)
}

import { messageOf, RivetrError, z } from '@rivetr/sdk'

/** RFC 9457 as RFC 8555, section 6.7, uses it. */
const problemDocument = z.object({
  type: z.string().default('about:blank'),
  detail: z.string().default(''),
  subproblems: z
    .array(
      z.object({
        type: z.string().default(''),
        detail: z.string().default(''),
        identifier: z.object({ value: z.string() }).optional(),
      }),
    )
    .optional()
    .catch(undefined),
})

/** Why the CA did not do what it was asked to. */
export interface CaRefusal {
  /** Of the answer; 200 where the CA answered that something has failed. */
  readonly status: number
  readonly type: string
  readonly url: string
  /** Milliseconds since the epoch; before that it does not want to be asked again. */
  readonly retryAt?: number | undefined
  /** Names that it has something against; empty: all that were asked for. */
  readonly hosts: readonly string[]
  /** The order cannot be gone on with. */
  readonly final: boolean
  /** It was about us, not about what was asked for. */
  readonly everybody?: boolean | undefined
}

/** The error of a problem document; its `details` are a `CaRefusal`. */
export function refusal(
  document: unknown,
  terms: Partial<CaRefusal> & Pick<CaRefusal, 'url' | 'status'> & { readonly about?: string },
): RivetrError {
  const parsed = problemDocument.safeParse(document)
  const { type, detail, subproblems = [] } = parsed.data ?? { type: 'about:blank', detail: '' }
  const { about, status, url, retryAt, hosts = [] } = terms
  const texts = [detail, ...subproblems.map((each) => `${each.identifier?.value ?? '?'}: ${each.detail}`)]
  const text = texts.filter(Boolean).join('; ').slice(0, 2_000) || 'no reason given'
  const isRefused = status >= 400 && status < 500 && status !== 429
  const details: CaRefusal = {
    status,
    type,
    url,
    retryAt,
    hosts: [...new Set([...hosts, ...subproblems.flatMap(({ identifier }) => identifier?.value ?? [])])],
    final: terms.final ?? isRefused,
    // A limit (429) may be that of one name; who is down is down for all.
    everybody: status >= 500 && retryAt !== undefined,
  }
  return new RivetrError(
    status === 429 ? 'too_many_requests' : 'unavailable',
    `${about ?? `the CA refused (${status})`}: ${text} (${shortType(type)})`,
    { details: { ...details } },
  )
}

/** Several at once, of one order. */
export function refusals(errors: readonly unknown[]): RivetrError {
  const all = errors.map((error) => caRefusal(error))
  const first = all.find((each) => each !== undefined)
  const hosts = errors.flatMap((error) => blamed(error))
  const retryAt = Math.max(...all.map((each) => each?.retryAt ?? 0)) || undefined
  return new RivetrError('unavailable', errors.map(messageOf).join('; '), {
    details: { status: 200, type: 'about:blank', url: '', ...first, hosts, retryAt, final: true },
    cause: errors[0],
  })
}

/** What the CA said, when that is why something failed. */
export function caRefusal(error: unknown): CaRefusal | undefined {
  return RivetrError.is(error) && 'final' in error.details
    ? (error.details as unknown as CaRefusal)
    : undefined
}

/** The same, once it is known that nobody could ask for anything. */
export function aboutEverybody(error: unknown): unknown {
  const refused = caRefusal(error)
  if (refused === undefined || !RivetrError.is(error)) return error
  return new RivetrError(error.code, error.message, {
    details: { ...refused, everybody: true },
    cause: error,
  })
}

/** Hosts that an error names as its reason; none: it is about the whole order. */
export function blamed(error: unknown): readonly string[] {
  const hosts = RivetrError.is(error) ? error.details.hosts : undefined
  return Array.isArray(hosts) ? (hosts as string[]) : []
}

/** `caa` for `urn:ietf:params:acme:error:caa`. */
export function shortType(type: string): string {
  return type.replace('urn:ietf:params:acme:error:', '')
}

import { isIPv6 } from 'node:net'
import { type Challenge, type Logger, messageOf, RivetrError, z } from '@rivetr/sdk'
import type acme from 'acme-client'
import type { Exchange } from './exchange.ts'
import { pollPause } from './poll-pause.ts'
import { refusal, refusals } from './problem.ts'
import type { Proof, Proofs } from './proofs.ts'

const cleanupLimitMs = 30_000

export interface AuthorizerParts {
  readonly client: acme.Client
  readonly exchange: Exchange
  readonly proofs: Proofs
  readonly log: Logger
}

/** Shows the CA that the hosts of one order are ours (RFC 8555, section 7.5). */
export class Authorizer {
  readonly #parts: AuthorizerParts
  readonly #shown: { readonly proof: Proof; readonly challenge: Challenge }[] = []

  constructor(parts: AuthorizerParts) {
    this.#parts = parts
  }

  /** All at once. Errors: one for all hosts that failed, with what the CA saw. */
  async proveAll(order: acme.Order, failures: number): Promise<void> {
    const authorizations = await this.#parts.client.getAuthorizations(order)
    const results = await Promise.allSettled(authorizations.map((each) => this.#prove(each, failures)))
    this.#parts.exchange.signal.throwIfAborted()
    const errors = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as unknown] : [],
    )
    if (errors.length > 0) throw errors.length === 1 ? errors[0] : refusals(errors)
  }

  /** What was shown stays until the order is final: a CA looks from several places, at different times. */
  async cleanup(): Promise<void> {
    const signal = AbortSignal.timeout(cleanupLimitMs)
    await Promise.all(
      this.#shown.map(({ proof, challenge }) =>
        proof.cleanup(challenge, signal).catch((error: unknown) => {
          const what = `the answer to the challenge for ${challenge.host} is not taken back`
          this.#parts.log.warn(what, { error: messageOf(error) })
        }),
      ),
    )
  }

  async #prove(authorization: acme.Authorization, failures: number): Promise<void> {
    if (authorization.status === 'valid') return
    const { client, exchange, proofs } = this.#parts
    const host = authorization.identifier.value
    const name = authorization.wildcard === true ? `*.${host}` : host
    const ways = proofs.waysFor(name, failures)
    const offers = authorization.challenges as readonly { type: string; token: string; url: string }[]
    const proof = ways.find(({ kind }) => offers.some(({ type }) => type === kind))
    const offer = offers.find(({ type }) => type === proof?.kind)
    if (proof === undefined || offer === undefined)
      throw new RivetrError(
        'unavailable',
        `the CA offers ${offers.map(({ type }) => type).join(', ')} for ${name}, and none of them is set up here`,
        { details: { hosts: [name] } },
      )
    // As http-01: the thing itself, which each solver derives its own from.
    const asIs = { ...offer, type: 'http-01' } as Parameters<acme.Client['completeChallenge']>[0]
    const keyAuthorization = await client.getChallengeKeyAuthorization(asIs)
    const challenge = { host, token: offer.token, keyAuthorization }
    this.#shown.push({ proof, challenge })
    try {
      await proof.present(challenge, exchange.signal)
    } catch (cause) {
      exchange.signal.throwIfAborted()
      const message = `the answer to the challenge ${proof.kind} for ${name} cannot be shown: ${messageOf(cause)}`
      throw new RivetrError('unavailable', message, { details: { hosts: [name] }, cause })
    }
    await client.completeChallenge(asIs)
    await this.#validated(authorization, name)
  }

  async #validated(begun: acme.Authorization, name: string): Promise<void> {
    const { client, exchange } = this.#parts
    const pauses = pollPause(exchange)
    for (;;) {
      const [now] = await client.getAuthorizations({ authorizations: [begun.url] } as acme.Order)
      if (now?.status === 'valid') return
      if (now?.status !== 'pending') throw notValidated(now, name)
      await pauses.next()
    }
  }
}

const failedChallenge = z.object({
  type: z.string(),
  error: z.unknown(),
  validationRecord: z
    .array(
      z.object({
        url: z.string().optional(),
        addressUsed: z.string().optional(),
        addressesResolved: z.array(z.string()).nullish(),
        port: z.coerce.string().optional(),
      }),
    )
    .nullish()
    .catch(undefined),
})

/** With what the CA's validation record says: where it looked is what people have to know. */
function notValidated(authorization: acme.Authorization | undefined, name: string): RivetrError {
  const challenges = (authorization?.challenges ?? []).flatMap(
    (each) => failedChallenge.safeParse(each).data ?? [],
  )
  const failed = challenges.find(({ error }) => error !== undefined)
  const last = failed?.validationRecord?.at(-1)
  const about = [
    failed === undefined ? undefined : `it looked by ${failed.type}`,
    last?.addressUsed
      ? `at ${last.addressUsed} (${isIPv6(last.addressUsed) ? 'AAAA' : 'A'} record)`
      : undefined,
    last?.addressesResolved?.length ? `of ${last.addressesResolved.join(', ')}` : undefined,
    last?.port === undefined ? undefined : `port ${last.port}`,
  ]
  return refusal(failed?.error, {
    url: authorization?.url ?? '',
    status: 200,
    hosts: [name],
    final: true,
    about: `${name} is ${authorization?.status ?? 'unknown'} to the CA; ${about.filter(Boolean).join(' ')}`,
  })
}

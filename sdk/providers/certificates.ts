import { namedToken, token } from '../token.ts'
import type { TableCertificate, TableChallenge } from './traffic.ts'

/** What the edges must have of certificates at this moment. */
export interface TableSecurity {
  /** Every valid certificate; where several cover a host, the one that is to be served comes first. */
  readonly certificates: readonly TableCertificate[]
  /** Answers of the challenges under way. */
  readonly challenges: readonly TableChallenge[]
}

/**
 * Keeps certificates for hosts valid. The kernel asks `forTable` whenever it computes the table; whoever has something
 * new for the edges calls `Routes.publish`, which resolves when all of them have it.
 */
export interface Certificates {
  /**
   * Every host that a route names now, wildcards included. Starts what is needed for them to have certificates, and
   * returns; a host that fails never blocks another. Hosts that were left out are no longer renewed.
   */
  ensure(hosts: readonly string[]): Promise<void>
  /** From memory: the kernel waits for it with every table. */
  forTable(): Promise<TableSecurity>
}

export const Certificates = token<Certificates>('certificates')

/** A challenge of RFC 8555 §8 (RFC 8737 for tls-alpn-01), as a solver gets it. */
export interface Challenge {
  /** The name that is proved, without `*.`. */
  readonly host: string
  readonly token: string
  /** RFC 8555 §8.1. What is to be shown is derived from it by each kind of challenge. */
  readonly keyAuthorization: string
}

/** How control over a name is shown: over HTTP, in a TLS handshake, or in DNS. */
export type ChallengeKind = 'http-01' | 'tls-alpn-01' | 'dns-01'

/**
 * Answers one kind of ACME challenge. Its name is chosen freely (`http-01`, `rfc2136`, `route53`): for `dns-01` there may be
 * several, and the configuration of the certificates says which one has the zone of a host.
 */
export interface ChallengeSolver {
  readonly kind: ChallengeKind
  /** Resolves when the CA can see the answer. Errors: `unavailable`, with the reason. */
  present(challenge: Challenge, signal: AbortSignal): Promise<void>
  /** Undoes `present`; idempotent. */
  cleanup(challenge: Challenge, signal: AbortSignal): Promise<void>
}

export const ChallengeSolver = namedToken<ChallengeSolver>('challenge-solver')

import { namedToken, token } from '../token.ts'

/** A certificate with its key, as an edge serves it. */
export interface Certificate {
  readonly hosts: readonly string[]
  /** PEM, leaf first. */
  readonly chain: string
  /** PEM, PKCS #8. */
  readonly key: string
  readonly notAfter: string
}

/** Keeps certificates for hosts valid. */
export interface Certificates {
  /** Starts what is needed for these hosts to have certificates; a host that fails never blocks another. */
  ensure(hosts: readonly string[]): Promise<void>
  find(host: string): Promise<Certificate | undefined>
}

export const Certificates = token<Certificates>('certificates')

/** Answers one kind of ACME challenge (RFC 8555 §8; RFC 8737 for tls-alpn-01). */
export interface ChallengeSolver {
  present(challenge: {
    readonly host: string
    readonly token: string
    readonly keyAuthorization: string
  }): Promise<void>
  /** Undoes `present`; idempotent. */
  cleanup(challenge: {
    readonly host: string
    readonly token: string
    readonly keyAuthorization: string
  }): Promise<void>
}

export const ChallengeSolver = namedToken<ChallengeSolver>('challenge-solver')

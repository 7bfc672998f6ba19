import type { TableChallenge } from '@rivetr/sdk'
import type { Target } from './host.ts'

type Alpn = Extract<TableChallenge, { kind: 'tls-alpn-01' }>

const wellKnown = '/.well-known/acme-challenge/'

/** The answers to challenges under way, of one table. */
export class Challenges {
  /** Key authorizations by token, by host (RFC 8555 §8.3). */
  readonly #http = new Map<string, Map<string, string>>()
  readonly #alpn = new Map<string, Alpn>()

  constructor(list: readonly TableChallenge[] = []) {
    for (const challenge of list) {
      const host = challenge.host.toLowerCase()
      if (challenge.kind === 'tls-alpn-01') this.#alpn.set(host, challenge)
      else {
        const ofHost = this.#http.get(host) ?? new Map<string, string>()
        this.#http.set(host, ofHost.set(challenge.token, challenge.keyAuthorization))
      }
    }
  }

  /** Whether a request may be a question of a CA. */
  get expectsRequests(): boolean {
    return this.#http.size > 0
  }

  /**
   * The key authorization that is asked for. False: the host has challenges under way, and this is none of them. That
   * is for no app, which could answer in our place. Undefined: it is no question of a CA.
   */
  answerTo({ host, path }: Target): string | false | undefined {
    if (!isForChallenge(path)) return undefined
    const ofHost = this.#http.get(host)
    return ofHost && (ofHost.get(path.slice(wellKnown.length).replace(/\?.*$/, '')) ?? false)
  }

  /** RFC 8737: the certificate for who asks for the protocol `acme-tls/1` and this host. */
  certificateFor(host: string): Alpn | undefined {
    return this.#alpn.get(host)
  }
}

/** Never sent to HTTPS: a CA asks there first for a certificate that is missing, or over. */
export function isForChallenge(path: string): boolean {
  return path.startsWith(wellKnown)
}

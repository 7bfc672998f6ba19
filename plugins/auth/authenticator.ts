import { type AuthenticatePayload, type AuthorizePayload, type Principal, permits } from '@rivetr/sdk'
import type { Keys } from './keys.ts'
import { type Sessions, sessionCookie } from './sessions.ts'

/** Answers the hooks `authenticate` and `authorize`. */
export class Authenticator {
  readonly #sessions: Sessions
  readonly #keys: Keys

  constructor(sessions: Sessions, keys: Keys) {
    this.#sessions = sessions
    this.#keys = keys
  }

  /** Whoever shows credentials of any kind in the header is judged by them alone, never by a cookie beside them. */
  async authenticate({ headers, cookies }: AuthenticatePayload): Promise<Principal | undefined> {
    if (headers.authorization !== undefined) {
      const [, key] = /^bearer +(\S+)$/i.exec(headers.authorization) ?? []
      return key === undefined ? undefined : this.#keys.principalOf(key)
    }
    const session = cookies[sessionCookie]
    return session === undefined ? undefined : this.#sessions.principalOf(session)
  }

  authorize({ principal, action }: AuthorizePayload): 'allow' | 'deny' {
    return permits(principal, action) ? 'allow' : 'deny'
  }
}

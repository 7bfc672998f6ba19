import { createHmac, randomBytes } from 'node:crypto'
import type { TableRoute } from '@rivetr/sdk'
import { PasswordChecks, parseHash, type StoredHash } from './password-checks.ts'

type RouteAuth = NonNullable<TableRoute['basicAuth']>

/** `busy`: too many passwords are being checked. */
export type Admission = 'admitted' | 'denied' | 'busy'

/** Lets clients pass routes with passwords (RFC 7617). */
export class BasicAuth {
  readonly #doors = new WeakMap<RouteAuth, Door>()
  readonly #checks = new PasswordChecks()
  /** Credentials are remembered as keyed hashes: a dump of the doors alone tells no password. */
  readonly #key = randomBytes(32)

  /** Answers at once where the credentials have been shown before. */
  check(auth: RouteAuth, authorization: string | undefined, client: string): Admission | Promise<Admission> {
    const credentials = credentialsOf(authorization)
    if (credentials === undefined) return 'denied'
    const shown = createHmac('sha256', this.#key).update(credentials).digest('base64')
    return this.#doorOf(auth).answer(credentials, shown, client)
  }

  #doorOf(auth: RouteAuth): Door {
    let door = this.#doors.get(auth)
    if (door === undefined) {
      door = new Door(auth, this.#checks)
      this.#doors.set(auth, door)
    }
    return door
  }
}

/** Of credentials that passed, and of those that did not. */
const rememberedLimit = 1_000

/** A route's users, and who has shown what. It goes with the table that brought the route. */
class Door {
  readonly #hashes = new Map<string, StoredHash>()
  /** Computed for a name that nobody has: time must not tell which names there are. */
  readonly #decoy: StoredHash | undefined
  readonly #admitted = new Set<string>()
  readonly #denied = new Set<string>()
  /** A browser opens several connections at once, all with the same password. */
  readonly #pending = new Map<string, Promise<Admission>>()
  readonly #checks: PasswordChecks

  constructor({ users }: RouteAuth, checks: PasswordChecks) {
    this.#checks = checks
    for (const { name, passwordHash } of users) {
      const hash = parseHash(passwordHash)
      if (hash !== undefined) this.#hashes.set(name, hash)
    }
    this.#decoy = this.#hashes.values().next().value
  }

  answer(credentials: string, shown: string, client: string): Admission | Promise<Admission> {
    if (this.#admitted.has(shown)) return 'admitted'
    if (this.#denied.has(shown)) return 'denied'
    const pending = this.#pending.get(shown)
    if (pending !== undefined) return pending
    const colon = credentials.indexOf(':')
    const known = this.#hashes.get(credentials.slice(0, colon))
    const hash = known ?? this.#decoy
    if (hash === undefined) return 'denied'
    const matches = this.#checks.matches(hash, credentials.slice(colon + 1), client)
    if (matches === undefined) return 'busy'
    const answer = matches.then((matches) => this.#settle(shown, matches && known !== undefined))
    this.#pending.set(shown, answer)
    return answer
  }

  #settle(shown: string, admitted: boolean): Admission {
    this.#pending.delete(shown)
    remember(admitted ? this.#admitted : this.#denied, shown)
    return admitted ? 'admitted' : 'denied'
  }
}

function remember(all: Set<string>, shown: string): void {
  if (all.size >= rememberedLimit) for (const oldest of all.values().take(1)) all.delete(oldest)
  all.add(shown)
}

/** `name:password`. Clients are told that it is UTF-8 (§2.1). */
function credentialsOf(authorization = ''): string | undefined {
  const [, encoded] = /^basic +([A-Za-z0-9+/_-]+={0,2})$/i.exec(authorization) ?? []
  const credentials = encoded && Buffer.from(encoded, 'base64').toString('utf8')
  return credentials?.includes(':') ? credentials : undefined
}

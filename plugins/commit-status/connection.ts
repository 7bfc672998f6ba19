import { type App, type Clock, RivetrError, type Secrets, z } from '@rivetr/sdk'
import { gitHosts, kindOf, kinds } from './hosts/git-hosts.ts'
import { type Repository, repositoryOf } from './repository.ts'

const secretName = 'commit-status.connection'

/** How the git host of an app is told. One secret: the token never stands apart from where it may be sent. */
const connectionSchema = z.object({
  kind: z.enum(kinds),
  /** Without a slash at its end. The token goes to its origin and to no other. */
  apiUrl: z.string(),
  /** The host of the source for which the token was given. */
  sourceHost: z.string(),
  token: z.string(),
  /** ISO 8601; of deployments before it nothing is told. */
  since: z.string(),
})
export type Connection = z.output<typeof connectionSchema>

export const connectionDraft = z.strictObject({
  kind: z.enum(kinds).optional(),
  /** Where the API of the git host is, should it not be where it usually is. */
  apiUrl: z
    .url({ protocol: /^https?$/ })
    .max(1_000)
    .optional(),
  token: z
    .string()
    .min(1)
    .max(1_000)
    .regex(/^[\x21-\x7e]+$/, 'printable ASCII without spaces'),
})
export type ConnectionDraft = z.output<typeof connectionDraft>

/** The connections of apps: secrets of theirs, which go with them. */
export class Connections {
  readonly #secrets: Secrets
  readonly #clock: Clock

  constructor(secrets: Secrets, clock: Clock) {
    this.#secrets = secrets
    this.#clock = clock
  }

  async find(app: string): Promise<Connection | undefined> {
    const text = await this.#secrets.find(app, secretName)
    return text === undefined ? undefined : connectionSchema.parse(JSON.parse(text))
  }

  /** Errors: `invalid_input` where the source has no git host, or the token would go over the net in the clear. */
  async set(app: App, { kind: wanted, apiUrl: where, token }: ConnectionDraft): Promise<Connection> {
    const repository = repositoryOfApp(app)
    if (repository === undefined)
      throw new RivetrError('invalid_input', `the source of ${app.name} is no repository of a git host`)
    const kind = wanted ?? kindOf(repository.host)
    if (kind === undefined)
      throw new RivetrError(
        'invalid_input',
        `what kind of git host ${repository.host} is must be said: ${kinds.join(', ')}`,
      )
    const apiUrl = safeApiUrl(where ?? gitHosts[kind].apiUrl(repository), repository)
    const since = new Date(this.#clock.now()).toISOString()
    const connection = { kind, apiUrl, sourceHost: repository.host, token, since }
    await this.#secrets.put(app.id, secretName, JSON.stringify(connection))
    return connection
  }

  async remove(app: string): Promise<void> {
    await this.#secrets.remove(app, secretName)
  }
}

export function repositoryOfApp({ source }: App): Repository | undefined {
  return source.kind === 'git' ? repositoryOf(source.url) : undefined
}

/** Plain HTTP only to the host from which the source comes by plain HTTP, too: somebody has decided that already. */
function safeApiUrl(address: string, { host, plainHttp }: Repository): string {
  const url = new URL(address)
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw new RivetrError('invalid_input', 'the address of an API has no user, no query and no fragment')
  const safe = url.protocol === 'https:' || (plainHttp && url.host === host)
  if (!safe)
    throw new RivetrError('invalid_input', `a token is not sent to ${url.origin} in the clear; use https`)
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

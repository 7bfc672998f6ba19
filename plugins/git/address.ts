import { RivetrError } from '@rivetr/sdk'

/** An address that git may be given: its scheme is allowed, and nothing secret is in it. */
export interface Address {
  /** Without credentials. What git, people and logs see. */
  readonly url: string
  readonly protocols: readonly string[]
  readonly credentials?: Credentials | undefined
}

export interface Credentials {
  readonly user: string
  readonly password: string
}

/**
 * Takes the credentials out of an address and refuses what this plugin does not speak. Git's own forms such as
 * `host:path` and `ext::command` are no URLs and never get through.
 */
export function parseAddress(text: string, allowFile: boolean): Address {
  const protocols = allowFile ? ['http', 'https', 'file'] : ['http', 'https']
  if (/^(ssh:\/\/|git\+ssh:\/\/|[^/:]+@[^/:]+:)/.test(text)) {
    throw wrong(
      `cannot fetch ${withoutCredentials(text)}: addresses for ssh are not supported yet; use the https:// address`,
    )
  }
  const url = URL.parse(text)
  const scheme = url?.protocol.slice(0, -1)
  if (url === null || scheme === undefined || !/^[a-z]+:\/\//i.test(text)) {
    throw wrong(
      `${JSON.stringify(withoutCredentials(text))} is not the address of a repository; use one such as https://host/owner/name.git`,
    )
  }
  if (!protocols.includes(scheme))
    throw wrong(`addresses with ${scheme}:// are not allowed; use ${protocols.join(', ')}`)
  // Git would read a host or path with a leading dash as an option where it hands it on.
  if (url.hostname.startsWith('-')) throw wrong(`${JSON.stringify(url.hostname)} is not a host name`)

  const credentials = credentialsOf(url)
  url.username = ''
  url.password = ''
  return { url: url.href, protocols, ...(credentials === undefined ? {} : { credentials }) }
}

/** For a message about an address that could not even be parsed. */
function withoutCredentials(text: string): string {
  return text.replace(/\/\/[^/@]*(?:@[^/@]*)*@/, '//')
}

function credentialsOf(url: URL): Credentials | undefined {
  if (url.username === '' && url.password === '') return undefined
  let credentials: Credentials
  try {
    credentials = { user: decodeURIComponent(url.username), password: decodeURIComponent(url.password) }
  } catch (error) {
    throw wrong(
      `the credentials in the address of ${url.host} are not percent-encoded as they must be`,
      error,
    )
  }
  // They travel in git's credential protocol, line by line.
  if (/[\0\r\n]/.test(credentials.user + credentials.password))
    throw wrong(`the credentials in the address of ${url.host} hold a line break`)
  return credentials
}

function wrong(message: string, cause?: unknown): RivetrError {
  return new RivetrError('source_failed', message, {
    details: { fault: 'address' },
    ...(cause === undefined ? {} : { cause }),
  })
}

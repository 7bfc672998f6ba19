import { RivetrError } from '@rivetr/sdk'

/** An address that git may be given: its scheme is allowed, and nothing secret is in it. */
export interface Address {
  /** Without credentials. What git, people and logs see. */
  readonly url: string
  readonly protocols: readonly string[]
  readonly credentials?: Credentials | undefined
  /** For addresses with ssh://: where the relay goes. */
  readonly ssh?: SshRepository | undefined
}

export interface Credentials {
  readonly user: string
  readonly password: string
}

export interface SshServer {
  readonly user: string
  readonly host: string
  readonly port: number
}

interface SshRepository extends SshServer {
  readonly path: string
}

/**
 * Takes the credentials out of an address and refuses what this plugin does not speak. Of git's own forms that are no URLs
 * only scp's `user@host:path` is taken; `ext::command` and the like never get through.
 */
export function parseAddress(text: string, allowFile: boolean): Address {
  const scp = /^([^\s@/:]+)@(\[[^\s\]]+\]|[^\s/:@[\]]+):(?!\/\/)(.+)$/.exec(text)
  if (scp?.[1] !== undefined && scp[2] !== undefined)
    return { url: text, protocols: ['ssh'], ssh: sshServer(scp[1], scp[2], 22, scp[3] ?? '') }
  const protocols = allowFile ? ['http', 'https', 'file'] : ['http', 'https']
  const url = URL.parse(text)
  const scheme = url?.protocol.slice(0, -1)
  if (url === null || scheme === undefined || !/^[a-z+]+:\/\//i.test(text)) {
    throw wrong(
      `${JSON.stringify(withoutCredentials(text))} is not the address of a repository; use one such as https://host/owner/name.git or git@host:owner/name.git`,
    )
  }
  if (scheme === 'ssh') return sshAddress(url, text)
  if (!protocols.includes(scheme))
    throw wrong(`addresses with ${scheme}:// are not allowed; use ${['ssh', ...protocols].join(', ')}`)
  // Git would read a host or path with a leading dash as an option where it hands it on.
  if (url.hostname.startsWith('-')) throw wrong(`${JSON.stringify(url.hostname)} is not a host name`)

  const credentials = credentialsOf(url)
  url.username = ''
  url.password = ''
  return { url: url.href, protocols, ...(credentials === undefined ? {} : { credentials }) }
}

function sshAddress(url: URL, text: string): Address {
  const name = withoutCredentials(text)
  if (url.password !== '')
    throw wrong(`${name}: no password is taken for ssh; make a key with "rivetr deploy-keys create"`)
  if (url.pathname.length < 2 || url.search !== '' || url.hash !== '')
    throw wrong(`${JSON.stringify(name)} is not the address of a repository: it needs a path, and no ? or #`)
  const ssh = sshServer(
    url.username || 'git',
    url.hostname,
    url.port === '' ? 22 : Number(url.port),
    decoded(url.pathname),
  )
  const port = url.port === '' ? '' : `:${url.port}`
  return { url: `ssh://${ssh.user}@${url.hostname}${port}${url.pathname}`, protocols: ['ssh'], ssh }
}

function sshServer(user: string, hostname: string, port: number, path: string): SshRepository {
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  if (!/^[A-Za-z0-9][A-Za-z0-9.:_-]*$|^::/.test(host))
    throw wrong(`${JSON.stringify(hostname)} is not a host name`)
  if (!/^[A-Za-z0-9._][A-Za-z0-9._-]*$/.test(user))
    throw wrong(`${JSON.stringify(user)} is not the name of a user`)
  if (path.startsWith('-') || /\p{Cc}/u.test(path))
    throw wrong(`${JSON.stringify(path)} is not the path of a repository`)
  return { user, host: host.toLowerCase(), port, path }
}

/** As git does: percent signs are read, and `/~user/` begins at a home. */
function decoded(pathname: string): string {
  try {
    return decodeURIComponent(pathname).replace(/^\/~/, '~')
  } catch (error) {
    throw wrong(`${JSON.stringify(pathname)} is not percent-encoded as it must be`, error)
  }
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

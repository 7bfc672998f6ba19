import { messageOf, RivetrError } from '@rivetr/sdk'

const sslModes = ['disable', 'require', 'verify-ca', 'verify-full'] as const
type SslMode = (typeof sslModes)[number]

/** `database_url`, taken apart. */
export interface PostgresqlTarget {
  /** A name, an address, or the folder of a unix socket. */
  readonly host: string
  readonly port: number
  readonly user: string
  /** Absent: PGPASSWORD, or the file ~/.pgpass. */
  readonly password: string | undefined
  readonly database: string
  readonly sslMode: SslMode
  /** Files of PEM. */
  readonly rootCertificate: string | undefined
  readonly certificate: string | undefined
  readonly key: string | undefined
  /** For people: never with the password. */
  readonly place: string
}

const parameters = ['host', 'port', 'user', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey']

/**
 * Reads `postgresql://user:password@host:5432/database?sslmode=…`, as libpq writes it. Over a network the server has to prove
 * who it is, unless the address says otherwise. Errors: `config_invalid`, which never repeats the address.
 */
export function parsePostgresqlUrl(text: string): PostgresqlTarget {
  const url = read(text)
  for (const name of url.searchParams.keys())
    if (!parameters.includes(name))
      throw invalid(`has the parameter ${JSON.stringify(name)}; there are ${parameters.join(', ')}`)
  const parameter = (name: string) => url.searchParams.get(name) || undefined
  const host = parameter('host') ?? (decoded(url.hostname).replace(/^\[(.*)\]$/, '$1') || '127.0.0.1')
  const port = Number(parameter('port') ?? (url.port || 5432))
  const user = parameter('user') ?? decoded(url.username)
  const database = decoded(url.pathname.slice(1))
  if (user === '') throw invalid('names no user: postgresql://user@host/database')
  if (database === '' || database.includes('/'))
    throw invalid('names no database: postgresql://user@host/database')
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw invalid('has a port that is none; PostgreSQL listens on 5432')
  const sslMode = parameter('sslmode') ?? (isNear(host) ? 'disable' : 'verify-full')
  if (!isSslMode(sslMode))
    throw invalid(`has sslmode=${JSON.stringify(sslMode)}; there are ${sslModes.join(', ')}`)
  const pair = [parameter('sslcert'), parameter('sslkey')]
  if (pair.filter((each) => each !== undefined).length === 1)
    throw invalid('has one of sslcert and sslkey; a certificate of the client needs both')
  return {
    host,
    port,
    user,
    password: decoded(url.password) || undefined,
    database,
    sslMode,
    rootCertificate: parameter('sslrootcert'),
    certificate: pair[0],
    key: pair[1],
    place: host.startsWith('/')
      ? `${database} at ${host}`
      : `${database} at ${host.includes(':') ? `[${host}]` : host}:${port}`,
  }
}

/** What is wrong with it, for the schema of the configuration. */
export function faultOfPostgresqlUrl(text: string): string | undefined {
  try {
    parsePostgresqlUrl(text)
    return undefined
  } catch (error) {
    return messageOf(error).replace(/^database_url /, '')
  }
}

function read(text: string): URL {
  if (!/^postgres(ql)?:\/\//.test(text))
    throw invalid('is no address of the kind postgresql://user@host/database')
  try {
    return new URL(text.replace(/^([a-z]+:\/\/[^/?#]*@)(?=[/?#]|$)/, '$1localhost')) // libpq knows an empty host
  } catch {
    throw invalid(
      'cannot be read; signs such as @ : / ? # % in user or password are written as %40 %3A %2F %3F %23 %25',
    )
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw invalid('has a % that is not followed by two hexadecimal digits; a % itself is written as %25')
  }
}

/** Nobody listens in between. */
function isNear(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || /^127\./.test(host)
}

function isSslMode(text: string): text is SslMode {
  return (sslModes as readonly string[]).includes(text)
}

function invalid(what: string): RivetrError {
  return new RivetrError('config_invalid', `database_url ${what}`)
}

import { messageOf, RivetrError } from '@rivetr/sdk'
import type { PostgresqlTarget } from './postgresql-url.ts'

/** Codes of the operating system and of PostgreSQL (appendix A of its manual) for a server that is not there now. */
const awayCodes = new Set([
  ...[
    'ECONNREFUSED',
    'ECONNRESET',
    'EPIPE',
    'ENOENT',
    'ETIMEDOUT',
    'EHOSTUNREACH',
    'ENETUNREACH',
    'EHOSTDOWN',
  ],
  ...['EAI_AGAIN', 'ENOTFOUND'],
  ...['08000', '08001', '08003', '08004', '08006', '53300', '57P01', '57P02', '57P03', '57P05', '25P03'],
  '25006', // what was the primary is a standby now, for as long as a name leads there
])
/** What `pg` says by itself, without a code. */
const awayWords =
  /Connection terminated|timeout exceeded when trying to connect|timeout expired|Client has encountered a connection error|not queryable|Client was closed/

/** The server is away, or the connection to it was cut: another try on another connection may do. */
export function isAway(error: unknown): boolean {
  return chain(error).some((each) => awayCodes.has(codeOf(each)) || awayWords.test(messageOf(each)))
}

/** The server took back a whole transaction, because of another one. */
export function isTakenBack(error: unknown): boolean {
  return chain(error).some((each) => ['40001', '40P01'].includes(codeOf(each)))
}

/** In one sentence, why it cannot be reached. The messages of `pg` hold no password. */
export function awayReason(error: unknown): string {
  const all = chain(error)
  const known = all.find((each) => codeOf(each) !== '' || messageOf(each) !== '')
  return messageOf(known) || codeOf(known) || 'no answer'
}

/** A failed statement as Rivetr's own error, where its own words would be the whole statement with its values. */
export function asOurs(error: unknown, place: string): unknown {
  if (RivetrError.is(error)) return error
  const code = chain(error).map(codeOf)
  if (code.includes('55P03'))
    return new RivetrError(
      'unavailable',
      'the database is held by another program; end that, then try again',
      {
        cause: error,
      },
    )
  if (code.includes('53100') || code.includes('53200') || code.includes('58030'))
    return new RivetrError(
      'unavailable',
      `the database could not be written: the server of ${place} has no room or memory left`,
      { cause: error },
    )
  if (code.includes('28P01') || code.includes('28000'))
    return new RivetrError('unavailable', `the server of ${place} lets this Rivetr in no more`, {
      cause: error,
    })
  return error
}

/** Why the database cannot be opened, and what to do about it. */
export function openingFault(
  error: unknown,
  { place, user, database, sslMode }: PostgresqlTarget,
): RivetrError {
  if (RivetrError.is(error)) return error
  const codes = chain(error).map(codeOf)
  const said = awayReason(error)
  const fault = (text: string) => new RivetrError('data_unusable', `the database ${text}`, { cause: error })
  if (codes.includes('28P01'))
    return fault(`${place}: the server refuses the password of ${user}; set the right one in database_url`)
  if (codes.includes('28000'))
    return fault(`${place}: the server does not let ${user} in (${said}); see its pg_hba.conf`)
  if (codes.includes('3D000'))
    return fault(
      `${place} does not exist; make it with: create database "${database}" owner "${user}" encoding 'UTF8' template template0`,
    )
  if (codes.includes('42501'))
    return fault(
      `${place}: ${user} may not do what Rivetr needs (${said}); make it the owner of the database`,
    )
  if (/SASL|password must be a string|no password supplied/i.test(said))
    return fault(`${place}: the server wants a password of ${user}; set it in database_url or PGPASSWORD`)
  if (/does not support SSL/i.test(said))
    return fault(
      `${place}: the server speaks no TLS; switch it on there, or add sslmode=disable where nobody can listen in between`,
    )
  if (
    sslMode !== 'disable' &&
    /certificate|self.signed|altnames|CERT_|issuer/i.test(`${said} ${codes.join(' ')}`)
  )
    return fault(
      `${place}: the server's certificate is not trusted (${said}); name the file of its authority with sslrootcert`,
    )
  if (isAway(error))
    return fault(`${place} is away (${said}); start the server, or set the right address in database_url`)
  return fault(`${place} cannot be used: ${said}`)
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : ''
}

/** The error, what it stands for, and what several addresses of one name came to. */
function chain(error: unknown, depth = 0): unknown[] {
  if (depth > 5 || error === null || error === undefined) return []
  const { cause, previous, errors } = error as { cause?: unknown; previous?: unknown; errors?: unknown }
  const inner = [cause, previous, ...(Array.isArray(errors) ? errors : [])]
  return [error, ...inner.flatMap((each) => chain(each, depth + 1))]
}

import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { messageOf, RivetrError } from '@rivetr/sdk'
import pg from 'pg'
import type { PostgresqlTarget } from './postgresql-url.ts'

/** How long a connection may take to come about. */
const connectLimitMs = 5_000
/** How long another program may hold what a statement needs. */
const lockLimitMs = 15_000
/** How long a statement may be without its answer. Longer than a lock is waited for, which the server itself ends. */
export const answerLimitMs = 30_000
/** How long a server may take to say goodbye. */
const endLimitMs = 2_000

/** What every session of ours starts with, whatever the server's own settings are. */
const settings = [
  'standard_conforming_strings=on', // statements carry their values, quoted for this
  'timezone=UTC',
  `lock_timeout=${lockLimitMs}`,
  // The server notices soon that this machine is gone: until then its lock keeps the next one out.
  'tcp_keepalives_idle=15',
  'tcp_keepalives_interval=5',
  'tcp_keepalives_count=3',
]

/** Who this is, for people who look at the server's sessions; unlike that of any other process. */
export function sessionName(token: string): string {
  const tail = ` ${token} (process ${process.pid})`
  return `rivetr ${hostname()}`.slice(0, 63 - tail.length) + tail
}

/** How `pg` connects. Errors: `config_invalid` for a file of certificates that cannot be read. */
export async function sessionOptions(target: PostgresqlTarget, name: string): Promise<pg.ClientConfig> {
  const { host, port, user, password, database } = target
  return {
    host,
    port,
    user,
    ...(password === undefined ? {} : { password }),
    database,
    ssl: await tlsOptions(target),
    application_name: name,
    connectionTimeoutMillis: connectLimitMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    options: settings.map((each) => `-c ${each}`).join(' '),
  }
}

/** A session of one's own, outside of any pool. */
export async function openSession(options: pg.ClientConfig, limitMs = answerLimitMs): Promise<pg.Client> {
  const client = new pg.Client(options)
  client.on('error', () => undefined) // whoever uses it hears of it by `end`
  limitAnswers(client, () => limitMs)
  try {
    await client.connect()
  } catch (error) {
    await endSession(client)
    throw error
  }
  return client
}

/**
 * Cuts the session when a statement has had no answer for so long: a server that hangs, or to which nothing leads any more,
 * says nothing by itself. Undefined: as long as it takes.
 */
export function limitAnswers(client: pg.ClientBase, limitMs: () => number | undefined): void {
  const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>
  const limited = async (...args: unknown[]) => {
    const limit = limitMs()
    if (limit === undefined) return query(...args)
    const late = setTimeout(
      () => cutSession(client, new Error(`the server has not answered for ${limit / 1000} s`)),
      limit,
    )
    try {
      return await query(...args)
    } finally {
      clearTimeout(late)
    }
  }
  Object.assign(client, { query: limited })
}

/** Says goodbye, and goes in any case. */
export async function endSession(client: pg.Client): Promise<void> {
  const late = setTimeout(() => cutSession(client, new Error('the server says no goodbye')), endLimitMs)
  await client.end().catch(() => undefined)
  clearTimeout(late)
}

/** Ends it at once, whatever the server does; whoever waits for an answer is told so in the words of `pg`. */
export function cutSession(client: pg.ClientBase, { message }: Error): void {
  const { connection } = client as unknown as { connection: { stream: { destroy(error: Error): void } } }
  connection.stream.destroy(new Error(`Connection terminated: ${message}`))
}

async function tlsOptions(target: PostgresqlTarget): Promise<pg.ClientConfig['ssl']> {
  const { host, sslMode, rootCertificate, certificate, key } = target
  if (sslMode === 'disable') return false
  return {
    host, // also an address is compared with the certificate; `pg` itself does that with names alone
    rejectUnauthorized: sslMode !== 'require',
    ...(sslMode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
    ...(rootCertificate === undefined ? {} : { ca: await pem('sslrootcert', rootCertificate) }),
    ...(certificate === undefined ? {} : { cert: await pem('sslcert', certificate) }),
    ...(key === undefined ? {} : { key: await pem('sslkey', key) }),
  }
}

async function pem(parameter: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new RivetrError(
      'config_invalid',
      `database_url: ${parameter} names ${path}, which cannot be read: ${messageOf(error)}`,
      { cause: error },
    )
  }
}

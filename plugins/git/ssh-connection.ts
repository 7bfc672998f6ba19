import type { Socket } from 'node:net'
import { AddressRefused, type Outgoing } from '@rivetr/sdk/kit'
import ssh2, { type Client, type ServerHostKeyAlgorithm } from 'ssh2'
import type { SshServer } from './address.ts'
import { fingerprintOf } from './ssh-keys.ts'

export interface SshAccess {
  readonly server: SshServer
  /** Keys by which the server may prove who it is: `ssh-ed25519 AAAA…`. */
  readonly hostKeys: readonly string[]
  /** Absent where the server asks for nobody's key. */
  readonly privateKey?: string | undefined
}

/** What went wrong on the way to a server, and which part of the source to look at. */
export class SshFault extends Error {
  readonly fault: 'address' | 'access' | 'transfer'

  constructor(fault: SshFault['fault'], message: string) {
    super(message)
    this.fault = fault
  }
}

const connectLimitMs = 20_000

/** A connection to a server that has shown a key that is known, as the user of the address. Errors: `SshFault`. */
export async function connect(
  { server, hostKeys, privateKey }: SshAccess,
  outgoing: Outgoing,
): Promise<Client> {
  const { host, port, user } = server
  const place = placeOf(server)
  if (hostKeys.length === 0) {
    const trust = `rivetr known-hosts trust ${host}${port === 22 ? '' : ` --port ${port}`}`
    throw new SshFault('access', `no host key of ${place} is known: see it and pin it with "${trust}"`)
  }
  const sock = await dial(server, outgoing)
  return new Promise((resolve, reject) => {
    let shown: string | undefined
    const client = new ssh2.Client()
    client.once('ready', () => resolve(client))
    client.on('error', (error: Error & { level?: string; code?: string }) => {
      if (shown !== undefined)
        return reject(
          new SshFault('access', `${place} shows a host key that is not the pinned one: ${shown}`),
        )
      reject(faultOf(error, place, privateKey !== undefined))
    })
    client.connect({
      sock,
      username: user,
      ...(privateKey === undefined ? {} : { privateKey }),
      // Nothing but the key: no agent, no password of anybody.
      authHandler: privateKey === undefined ? ['none'] : ['publickey'],
      algorithms: { serverHostKey: algorithmsOf(hostKeys) },
      hostVerifier: (key: Buffer) => {
        const known = hostKeys.some((line) => key.equals(Buffer.from(line.split(' ')[1] ?? '', 'base64')))
        if (!known) shown = fingerprintOf(key)
        return known
      },
      readyTimeout: connectLimitMs,
      keepaliveInterval: 15_000,
      keepaliveCountMax: 3,
    })
  })
}

/** The key that a server shows of each kind, for a person to compare. Trusts nothing and signs in as nobody. */
export async function scan(host: string, port: number, outgoing: Outgoing): Promise<Buffer[]> {
  const keys: Buffer[] = []
  const server = { host, port, user: 'git' }
  for (const algorithm of ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'rsa-sha2-512'] as const) {
    const key = await shownKey(server, algorithm, outgoing)
    if (key !== undefined) keys.push(key)
  }
  if (keys.length === 0) throw new SshFault('address', `${placeOf(server)} shows no host key`)
  return keys
}

async function shownKey(
  server: SshServer,
  algorithm: ServerHostKeyAlgorithm,
  outgoing: Outgoing,
): Promise<Buffer | undefined> {
  const sock = await dial(server, outgoing)
  return new Promise((resolve, reject) => {
    let shown: Buffer | undefined
    const client = new ssh2.Client()
    client.on('error', (error: Error & { level?: string }) => {
      if (shown !== undefined || error.level === 'handshake')
        resolve(shown) // it has no key of this kind
      else reject(faultOf(error, placeOf(server), false))
    })
    client.connect({
      sock,
      username: server.user,
      authHandler: ['none'],
      algorithms: { serverHostKey: [algorithm] },
      hostVerifier: (key: Buffer) => {
        shown = key
        return false
      },
      readyTimeout: connectLimitMs,
    })
  })
}

async function dial(server: SshServer, outgoing: Outgoing): Promise<Socket> {
  const { host, port } = server
  try {
    return await outgoing.connect({ host, port, signal: AbortSignal.timeout(connectLimitMs) })
  } catch (error) {
    if (error instanceof AddressRefused) throw new SshFault('address', error.message)
    const { code = '', name } = error as NodeJS.ErrnoException
    const found = code !== 'ENOTFOUND' && code !== 'EAI_AGAIN'
    if (name === 'AbortError') throw new SshFault('address', `${placeOf(server)} does not answer`)
    throw new SshFault(
      'address',
      found
        ? `nothing answers at ${placeOf(server)}: check host and port, and that this machine may connect there`
        : `cannot find the host ${placeOf(server)}: check the address and this machine's name servers`,
    )
  }
}

function placeOf({ host, port }: SshServer): string {
  return port === 22 ? host : `${host}:${port}`
}

/** Only kinds of which a key is pinned: a server that offers another first is no stranger yet. */
function algorithmsOf(hostKeys: readonly string[]): ServerHostKeyAlgorithm[] {
  const kinds = new Set(hostKeys.map((line) => line.split(' ', 1)[0] ?? ''))
  return [...kinds].flatMap((kind) =>
    kind === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [kind],
  ) as ServerHostKeyAlgorithm[]
}

function faultOf(
  error: Error & { level?: string; code?: string },
  place: string,
  withKey: boolean,
): SshFault {
  if (error.level === 'client-authentication') {
    const why = withKey
      ? 'it does not take the deploy key: add its public half there, with the right to read'
      : 'it wants a key: make one with "rivetr deploy-keys create" and name it in the source'
    return new SshFault('access', `no access to ${place}: ${why}`)
  }
  if (/no matching host key/.test(error.message))
    return new SshFault(
      'access',
      `${place} has no host key of a kind that is pinned: look with "rivetr known-hosts trust"`,
    )
  if (error.level === 'handshake')
    return new SshFault('address', `${place} and Rivetr have no way of ssh in common: ${error.message}`)
  if (error.level === 'client-timeout')
    return new SshFault('transfer', `${place} fell silent: try again later`)
  return new SshFault('transfer', `the connection with ${place} broke: ${error.message}`)
}

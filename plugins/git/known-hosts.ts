import { randomUUIDv7 } from 'node:crypto'
import { type Clock, type Database, RivetrError } from '@rivetr/sdk'
import type { Outgoing } from '@rivetr/sdk/kit'
import { KnownHost } from './entities.ts'
import { hostKeyOf, readHostKey } from './ssh-keys.ts'

/** A host's key as the API shows it. */
export interface KnownHostView {
  /** Absent for those that Rivetr brings along. */
  readonly id?: string | undefined
  readonly host: string
  readonly port: number
  readonly key: string
  readonly fingerprint: string
}

/**
 * As the hosts publish them: https://docs.github.com/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints,
 * https://docs.gitlab.com/user/gitlab_com/#ssh-known_hosts-entries, https://bitbucket.org/site/ssh
 */
const published: Readonly<Record<string, string>> = {
  'github.com': 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl',
  'gitlab.com': 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf',
  'bitbucket.org': 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIazEu89wgQZ4bqs3d63QSMzYVa0MuJ2e2gKTKqu+UUO',
}

/** The keys by which servers of ssh prove who they are. What is not here is not spoken to. */
export class KnownHosts {
  readonly #database: Database
  readonly #clock: Clock
  readonly #outgoing: Outgoing

  constructor(database: Database, clock: Clock, outgoing: Outgoing) {
    this.#database = database
    this.#clock = clock
    this.#outgoing = outgoing
  }

  async list(): Promise<KnownHostView[]> {
    const rows = await this.#database.rows.find(KnownHost, {}, { orderBy: { host: 'asc', id: 'asc' } })
    const own = rows.map(({ id, host, port, key, fingerprint }) => ({ id, host, port, key, fingerprint }))
    const brought = Object.entries(published).map(([host, key]) => ({ host, port: 22, ...readHostKey(key) }))
    return [...own, ...brought]
  }

  /** Keys of one server; a port of its own is a server of its own. */
  async of(host: string, port: number): Promise<string[]> {
    const rows = await this.#database.rows.find(KnownHost, { host, port }, { orderBy: { id: 'asc' } })
    const brought = port === 22 && Object.hasOwn(published, host) ? [published[host] ?? ''] : []
    return [...rows.map(({ key }) => key), ...brought]
  }

  /** What a server shows now. */
  async scan(host: string, port: number): Promise<KnownHostView[]> {
    const { scan } = await import('./ssh-connection.ts')
    const blobs = await scan(host, port, this.#outgoing).catch((error: Error) => {
      throw new RivetrError('unavailable', error.message, { cause: error })
    })
    return blobs.map((blob) => ({ host, port, ...hostKeyOf(blob) }))
  }

  async add(host: string, port: number, text: string): Promise<KnownHostView> {
    const { key, fingerprint } = readHostKey(text)
    const id = randomUUIDv7()
    const createdAt = new Date(this.#clock.now()).toISOString()
    await this.#database.transaction(async (rows) => {
      if ((await rows.count(KnownHost, { host, port, key })) > 0)
        throw new RivetrError('conflict', `this key of ${host} is known already`)
      await rows.insert(KnownHost, { id, host, port, key, fingerprint, createdAt })
    })
    return { id, host, port, key, fingerprint }
  }

  async remove(id: string): Promise<void> {
    await this.#database.transaction(async (rows) => {
      if ((await rows.nativeDelete(KnownHost, { id })) === 0)
        throw new RivetrError('not_found', `there is no host key with the id ${JSON.stringify(id)}`)
    })
  }
}

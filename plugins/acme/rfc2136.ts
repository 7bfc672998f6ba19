import { type Challenge, type ChallengeSolver, type Clock, RivetrError } from '@rivetr/sdk'
import type { DnsZone } from './config.ts'
import { recordOf } from './dns-record.ts'
import { type NameServer, sendUpdate, updateMessage } from './dns-update.ts'
import { zoneOf } from './proofs.ts'
import { readSecretFile } from './secret-file.ts'

const ttlSeconds = 60

/** dns-01 by a dynamic update (RFC 2136) of a name server that has the zone, signed with TSIG. */
export class Rfc2136Solver implements ChallengeSolver {
  readonly kind = 'dns-01'
  readonly #zones: readonly DnsZone[]
  readonly #clock: Clock

  constructor(zones: readonly DnsZone[], clock: Clock) {
    this.#zones = zones.filter(({ solver }) => solver === 'rfc2136')
    this.#clock = clock
  }

  present(challenge: Challenge, signal: AbortSignal): Promise<void> {
    return this.#update('add', challenge, signal)
  }

  cleanup(challenge: Challenge, signal: AbortSignal): Promise<void> {
    return this.#update('delete', challenge, signal)
  }

  async #update(change: 'add' | 'delete', challenge: Challenge, signal: AbortSignal): Promise<void> {
    const { zone, server, key, file } = zoneOf(challenge.host, this.#zones) ?? {}
    if (zone === undefined || server === undefined || key === undefined || file === undefined)
      throw new RivetrError('unavailable', `no zone of the solver rfc2136 has ${challenge.host}`)
    const secret = Buffer.from(await readSecretFile(file, `the TSIG key of the zone ${zone}`), 'base64')
    const record = { change, zone, ...recordOf(challenge), ttlSeconds }
    await sendUpdate(
      addressOf(server),
      updateMessage(record, { name: key, secret }, this.#clock.now()),
      signal,
    )
  }
}

function addressOf(server: string): NameServer {
  const [, host = server, port = '53'] = /^(.*?)(?::(\d+))?$/.exec(server) ?? []
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) }
}

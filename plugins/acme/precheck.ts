import { randomBytes } from 'node:crypto'
import { lookup, Resolver } from 'node:dns/promises'
import { request } from 'node:http'
import { isIPv6 } from 'node:net'
import { type ChallengeSolver, messageOf, RivetrError } from '@rivetr/sdk'
import type { AcmeConfig } from './config.ts'

const dnsTimeoutMs = 5_000
const httpTimeoutMs = 5_000

type Settings = Pick<AcmeConfig, 'precheckPort' | 'precheckResolver'>

/**
 * Looks whether a host leads here, before the CA is troubled: it counts failures, we do not. Only what is certain stops; that we
 * cannot reach ourselves may be the network's way (a router that does not reflect), and says nothing about the CA.
 */
export class Precheck {
  readonly #settings: Settings
  readonly #http: ChallengeSolver

  constructor(settings: Settings, http: ChallengeSolver) {
    this.#settings = settings
    this.#http = http
  }

  /** Each host with the kind of its challenge. Errors: `unavailable`; `details` has `precheck` and the hosts that failed. */
  async lookAtAll(kinds: ReadonlyMap<string, string>, signal: AbortSignal): Promise<void> {
    const hosts = [...kinds.keys()]
    const looks = await Promise.allSettled([...kinds].map(([host, kind]) => this.#look(host, kind, signal)))
    signal.throwIfAborted()
    const errors = looks.flatMap((look, index) =>
      look.status === 'rejected' ? [{ host: hosts[index], reason: messageOf(look.reason) }] : [],
    )
    if (errors.length === 0) return
    throw new RivetrError('unavailable', errors.map(({ reason }) => reason).join('; '), {
      details: { precheck: true, hosts: errors.map(({ host }) => host) },
    })
  }

  async #look(host: string, kind: string, signal: AbortSignal): Promise<void> {
    if (kind === 'dns-01') return
    const addresses = await this.#addressesOf(host)
    if (addresses?.length === 0)
      throw new Error(`${host} has no address in DNS; add an A or AAAA record that leads to this machine`)
    if (kind !== 'http-01' || addresses === undefined) return
    const token = randomBytes(16).toString('base64url')
    const challenge = { host, token, keyAuthorization: `${token}.rivetr` }
    await this.#http.present(challenge, signal)
    try {
      // One of each family: CAs go by IPv6 first.
      const asked = [addresses.find(isIPv6), addresses.find((address) => !isIPv6(address))]
      await Promise.all(asked.map((address) => address && this.#ask(address, challenge, signal)))
    } finally {
      await this.#http.cleanup(challenge, signal).catch(() => undefined)
    }
  }

  /** Undefined: DNS itself did not answer. */
  async #addressesOf(host: string): Promise<string[] | undefined> {
    const { precheckResolver: server } = this.#settings
    const isAbsence = ({ code }: NodeJS.ErrnoException) => code === 'ENOTFOUND' || code === 'ENODATA'
    const none = (error: NodeJS.ErrnoException) => (isAbsence(error) ? [] : undefined)
    if (server === undefined)
      return lookup(host, { all: true }).then((found) => found.map(({ address }) => address), none)
    const resolver = new Resolver({ timeout: dnsTimeoutMs, tries: 1 })
    resolver.setServers([server])
    const [six, four] = await Promise.all([
      resolver.resolve6(host).catch(none),
      resolver.resolve4(host).catch(none),
    ])
    return six === undefined && four === undefined ? undefined : [...(six ?? []), ...(four ?? [])]
  }

  async #ask(
    address: string,
    { host, token, keyAuthorization }: { host: string; token: string; keyAuthorization: string },
    signal: AbortSignal,
  ): Promise<void> {
    const path = `/.well-known/acme-challenge/${token}`
    const answer = await getText(address, this.#settings.precheckPort, path, host, signal)
    // A redirect is followed by CAs, and where to is none of our business.
    if (answer === undefined || (answer.status >= 300 && answer.status < 400)) return
    if (answer.status === 200 && answer.text.trim() === keyAuthorization) return
    const record = isIPv6(address) ? 'AAAA' : 'A'
    throw new Error(
      `http://${host}${path.slice(0, 27)} at ${address} (${record} record) is answered with ${answer.status} by another server; ` +
        `let the ${record} record of ${host} lead to this machine`,
    )
  }
}

/** Undefined: no answer of HTTP came. */
function getText(
  address: string,
  port: number,
  path: string,
  host: string,
  signal: AbortSignal,
): Promise<{ status: number; text: string } | undefined> {
  return new Promise((resolve) => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(httpTimeoutMs)])
    const asked = request(
      { host: address, port, path, headers: { host }, agent: false, signal: limit },
      (answer) => {
        let text = ''
        answer.setEncoding('utf8')
        answer.on('data', (chunk: string) => {
          text += chunk
          if (text.length > 4_096) answer.destroy()
        })
        answer.on('close', () => resolve({ status: answer.statusCode ?? 0, text }))
        answer.on('error', () => undefined)
      },
    )
    asked.on('error', () => resolve(undefined))
    asked.end()
  })
}

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { type Challenge, type ChallengeSolver, RivetrError } from '@rivetr/sdk'
import type { Outgoing } from '@rivetr/sdk/kit'

interface DnsHostOptions {
  readonly api: string
  readonly tokenFile: string
  readonly outgoing: Outgoing
}

export class DnsHost implements ChallengeSolver {
  readonly kind = 'dns-01'
  readonly #options: DnsHostOptions

  constructor(options: DnsHostOptions) {
    this.#options = options
  }

  present(challenge: Challenge, signal: AbortSignal): Promise<void> {
    return this.#ask('PUT', challenge, signal)
  }

  cleanup(challenge: Challenge, signal: AbortSignal): Promise<void> {
    return this.#ask('DELETE', challenge, signal)
  }

  async #ask(method: string, { host, keyAuthorization }: Challenge, signal: AbortSignal): Promise<void> {
    const { api, tokenFile, outgoing } = this.#options
    // RFC 8555, section 8.4: the name and the content of the record. A wildcard is proven at the name that it is of.
    const name = `_acme-challenge.${host.replace(/^\*\./, '')}`
    const value = createHash('sha256').update(keyAuthorization).digest('base64url')
    const answer = await outgoing.request(new URL(`records/${encodeURIComponent(name)}`, api), {
      method,
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${(await readFile(tokenFile, 'utf8')).trim()}`,
      },
      body: JSON.stringify({ type: 'TXT', value }),
      signal,
    })
    answer.resume()
    if (answer.statusCode !== 200)
      throw new RivetrError('unavailable', `the DNS host answered ${answer.statusCode} for ${name}`)
  }
}

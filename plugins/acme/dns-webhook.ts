import { createHmac } from 'node:crypto'
import { type Challenge, type ChallengeSolver, type Clock, messageOf, RivetrError } from '@rivetr/sdk'
import type { DnsZone } from './config.ts'
import { recordOf } from './dns-record.ts'
import { zoneOf } from './proofs.ts'
import { readSecretFile } from './secret-file.ts'

const timeoutMs = 60_000

/** dns-01 by a program of the user's own: it is posted what to write and what to take away, signed. */
export class WebhookSolver implements ChallengeSolver {
  readonly kind = 'dns-01'
  readonly #zones: readonly DnsZone[]
  readonly #clock: Clock

  constructor(zones: readonly DnsZone[], clock: Clock) {
    this.#zones = zones.filter(({ solver }) => solver === 'webhook')
    this.#clock = clock
  }

  present(challenge: Challenge, signal: AbortSignal): Promise<void> {
    return this.#post('present', challenge, signal)
  }

  cleanup(challenge: Challenge, signal: AbortSignal): Promise<void> {
    return this.#post('cleanup', challenge, signal)
  }

  async #post(action: 'present' | 'cleanup', challenge: Challenge, signal: AbortSignal): Promise<void> {
    const { zone, url, file } = zoneOf(challenge.host, this.#zones) ?? {}
    if (zone === undefined || url === undefined || file === undefined)
      throw new RivetrError('unavailable', `no zone of the solver webhook has ${challenge.host}`)
    const { name, value } = recordOf(challenge)
    const timestamp = String(Math.floor(this.#clock.now() / 1_000))
    const body = JSON.stringify({ action, zone, host: challenge.host, name, type: 'TXT', value })
    const secret = await readSecretFile(file, `the secret of the webhook of the zone ${zone}`)
    const answer = await fetch(url, {
      method: 'POST',
      body,
      headers: {
        'content-type': 'application/json',
        'x-rivetr-timestamp': timestamp,
        'x-rivetr-signature': `sha256=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`,
      },
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    }).catch((cause: unknown) => {
      signal.throwIfAborted()
      const reason = messageOf((cause as Error).cause ?? cause)
      throw new RivetrError('unavailable', `the DNS webhook of the zone ${zone} does not answer: ${reason}`, {
        cause,
      })
    })
    const text = (await answer.text()).slice(0, 200)
    if (!answer.ok)
      throw new RivetrError(
        'unavailable',
        `the DNS webhook of the zone ${zone} answered ${answer.status}: ${text}`,
      )
  }
}

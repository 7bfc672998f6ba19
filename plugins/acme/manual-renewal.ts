import { type Clock, RivetrError } from '@rivetr/sdk'
import { fullUntil, lastHour } from './back-off.ts'
import type { CaRest } from './ca-rest.ts'
import type { HostBook } from './host-book.ts'
import type { OwnCertificates } from './own-certificates.ts'
import type { Proofs } from './proofs.ts'

export interface ManualRenewalParts {
  readonly hosts: HostBook
  readonly own: OwnCertificates
  readonly proofs: Proofs
  readonly rest: CaRest
  readonly clock: Clock
}

/**
 * Makes a host due now, whatever failed before; the limits that a CA sets stay.
 * Errors: `not_found`, `conflict`, `refused`, `too_many_requests`.
 */
export async function makeDue(host: string, parts: ManualRenewalParts): Promise<void> {
  const { hosts, own, proofs, rest, clock } = parts
  const row = await hosts.find(host)
  if (row?.wanted !== true) throw new RivetrError('not_found', `no route names ${host}`)
  if (own.covering(host) !== undefined)
    throw new RivetrError('conflict', `an uploaded certificate covers ${host}; remove it first`)
  const reason = proofs.reasonAgainst(host)
  if (reason !== undefined) throw new RivetrError('refused', reason)
  if (rest.endsAt !== undefined)
    throw new RivetrError('too_many_requests', `the CA wants to be left alone until ${iso(rest.endsAt)}`)
  const fullAt = fullUntil(row.orders, clock.now())
  if (fullAt !== undefined)
    throw new RivetrError(
      'too_many_requests',
      `${lastHour(row.orders, clock.now()).length} certificates for ${host} were asked for in the last hour, and the CA counts them; ` +
        `the next may be at ${iso(fullAt)}`,
    )
  await hosts.set(host, { retryAt: null, renewAt: clock.now() })
}

function iso(at: number): string {
  return new Date(at).toISOString()
}

import { AuthorityKeyIdentifierExtension, X509Certificate } from '@peculiar/x509'
import { RivetrError, z } from '@rivetr/sdk'
import { type Exchange, fetchPlain, within } from './exchange.ts'
import type { Pair } from './pair.ts'

const hourMs = 3_600_000
const askAgainMs = 6 * hourMs

const renewalInfo = z.object({
  suggestedWindow: z.object({
    start: z.iso.datetime({ offset: true }),
    end: z.iso.datetime({ offset: true }),
  }),
})
const directory = z.object({ renewalInfo: z.url().optional() })

/** When the CA wants a certificate renewed (RFC 9773). Times are milliseconds since the epoch. */
export interface RenewalWish {
  readonly start: number
  readonly end: number
  /** When to ask again. */
  readonly askAt: number
}

/** Undefined: the CA has no wishes. Errors: those of an exchange. */
export function askRenewalInfo(
  directoryUrl: string,
  pair: Pair,
  exchange: Exchange,
): Promise<RenewalWish | undefined> {
  return within(exchange, async () => {
    const { renewalInfo: base } = directory.parse(await fetchPlain(directoryUrl))
    const id = certificateId(pair)
    if (base === undefined || id === undefined) return undefined
    const { suggestedWindow } = renewalInfo.parse(await fetchPlain(`${base.replace(/\/$/, '')}/${id}`))
    const [start, end] = [Date.parse(suggestedWindow.start), Date.parse(suggestedWindow.end)]
    // Section 4.2: no window at all is as if there was none. One after the end of the certificate would be an outage.
    if (end <= start || start >= pair.notAfter) throw nonsense(suggestedWindow)
    const now = exchange.clock.now()
    // Section 4.3: as often as it says, within reason.
    const asked = exchange.retryAt === undefined ? now + askAgainMs : exchange.retryAt
    return {
      start,
      end: Math.min(end, pair.notAfter),
      askAt: Math.min(Math.max(asked, now + 60_000), now + 24 * hourMs),
    }
  })
}

function nonsense({ start, end }: { start: string; end: string }): RivetrError {
  return new RivetrError('unavailable', `the window from ${start} to ${end} is none in which to renew`)
}

/** Section 4.2: any moment of the window, the same one as long as the window has it. */
export function momentIn(
  { start, end }: RenewalWish,
  chosen: number | undefined,
  random = Math.random(),
): number {
  if (chosen !== undefined && chosen >= start && chosen <= end) return chosen
  return Math.round(start + (end - start) * random)
}

/** Section 4.1: key identifier of the issuer and serial number. Undefined for a certificate without the first. */
export function certificateId({ chain }: Pick<Pair, 'chain'>): string | undefined {
  const leaf = new X509Certificate(chain)
  const keyId = leaf.getExtension(AuthorityKeyIdentifierExtension)?.keyId
  if (keyId === undefined) return undefined
  const serial = leaf.serialNumber.length % 2 === 0 ? leaf.serialNumber : `0${leaf.serialNumber}`
  // The bytes of a DER integer: one more where the first would read as a sign.
  const signed = Number.parseInt(serial.slice(0, 2), 16) > 127 ? `00${serial}` : serial
  return `${base64url(keyId)}.${base64url(signed)}`
}

function base64url(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64url')
}

import { z } from '@rivetr/sdk'
import type { HostRecord } from './host-book.ts'
import type { OwnCertificate } from './own-certificates.ts'
import { covers, type Pair } from './pair.ts'

const moment = z.iso.datetime().optional()

/** How it stands with the certificate of one host, as the API shows it. */
export const certificateView = z.object({
  host: z.string(),
  /** A route names it now. */
  routed: z.boolean(),
  /** Whose certificate is served: the CA's, an uploaded one, or none. */
  source: z.enum(['acme', 'own', 'none']),
  /** `refused`: nothing is asked for, see `reason`. `failing`: the last try failed, see `error`. */
  state: z.enum(['valid', 'issuing', 'waiting', 'failing', 'refused', 'expired', 'damaged']),
  reason: z.string().optional(),
  /** All names that the served certificate is for. */
  names: z.array(z.string()).optional(),
  issuer: z.string().optional(),
  fingerprint: z.string().optional(),
  notBefore: moment,
  notAfter: moment,
  /** When it is to be renewed. */
  renewAt: moment,
  failures: z.int(),
  /** The next try after a failure. */
  retryAt: moment,
  error: z.object({ message: z.string(), type: z.string().optional(), at: z.iso.datetime() }).optional(),
})
export type CertificateView = z.output<typeof certificateView>

export interface StatusParts {
  readonly rows: readonly HostRecord[]
  readonly own: readonly OwnCertificate[]
  readonly now: number
  pair(name: string): Pair | undefined
  isBusy(host: string): boolean
  reasonAgainst(host: string): string | undefined
}

/** Every host that a route names, and every name of an uploaded certificate. */
export function statusOf(parts: StatusParts): CertificateView[] {
  const rows = new Map(parts.rows.filter(({ wanted }) => wanted).map((row) => [row.host, row]))
  const hosts = new Set([...rows.keys(), ...parts.own.flatMap(({ hosts }) => hosts)])
  return [...hosts].sort().map((host) => view(host, rows.get(host), parts))
}

function view(host: string, row: HostRecord | undefined, parts: StatusParts): CertificateView {
  const { own, now, pair, isBusy, reasonAgainst } = parts
  const valid = (each: Pair | undefined) => each !== undefined && each.notAfter > now && covers(each, host)
  const ownPair = own
    .flatMap((each) => (valid(each.pair) ? (each.pair ?? []) : []))
    .sort((a, b) => b.notAfter - a.notAfter)[0]
  const routed = row !== undefined
  if (ownPair !== undefined)
    return { host, routed, source: 'own', state: 'valid', failures: 0, ...certificate(ownPair) }
  const acmePair = pair(row?.pair ?? '')
  const brought = own.find(({ hosts }) => hosts.includes(host))
  if (row === undefined) return { host, routed, source: 'none', failures: 0, ...ofBrought(brought) }
  const served = valid(acmePair) ? acmePair : undefined
  const reason = reasonAgainst(host)
  return {
    host,
    routed,
    source: served === undefined ? 'none' : 'acme',
    state: stateOf(row, served, reason, isBusy(host)),
    failures: row.failures,
    ...(reason === undefined ? {} : { reason }),
    ...(served === undefined ? {} : certificate(served)),
    ...(served === undefined || row.renewAt === null ? {} : { renewAt: iso(row.renewAt) }),
    ...(row.retryAt === null ? {} : { retryAt: iso(row.retryAt) }),
    ...(row.fault === null ? {} : { error: row.fault }),
  }
}

function ofBrought(
  brought: OwnCertificate | undefined,
): Pick<CertificateView, 'state'> & Partial<CertificateView> {
  return brought?.pair === undefined
    ? { state: 'damaged', reason: 'what is stored cannot be served; upload the certificate again' }
    : { state: 'expired', ...certificate(brought.pair) }
}

function stateOf(
  row: HostRecord,
  served: Pair | undefined,
  reason: string | undefined,
  busy: boolean,
): CertificateView['state'] {
  if (reason !== undefined && served === undefined) return 'refused'
  if (busy) return 'issuing'
  if (row.failures > 0) return 'failing'
  return served === undefined ? 'waiting' : 'valid'
}

function certificate({ hosts, issuer, fingerprint, notBefore, notAfter }: Pair): Partial<CertificateView> {
  return { names: [...hosts], issuer, fingerprint, notBefore: iso(notBefore), notAfter: iso(notAfter) }
}

function iso(at: number): string {
  return new Date(at).toISOString()
}

import { type AnyRoute, type Clock, defineRoute, hostName, RivetrError, z } from '@rivetr/sdk'
import type { CaRest } from './ca-rest.ts'
import type { HostBook } from './host-book.ts'
import type { Keeper } from './keeper.ts'
import { makeDue } from './manual-renewal.ts'
import type { OrderLanes } from './order-lanes.ts'
import type { OwnCertificates } from './own-certificates.ts'
import { readPair } from './pair.ts'
import type { PairStore } from './pair-store.ts'
import type { Proofs } from './proofs.ts'
import { type CertificateView, certificateView, statusOf } from './status.ts'

export interface RouteParts {
  readonly keeper: Keeper
  readonly hosts: HostBook
  readonly own: OwnCertificates
  readonly pairs: PairStore
  readonly proofs: Proofs
  readonly lanes: OrderLanes
  readonly rest: CaRest
  readonly clock: Clock
}

const params = z.object({ host: hostName })

export function certificateRoutes(parts: RouteParts): AnyRoute[] {
  const { keeper, hosts, own, pairs, proofs, lanes, clock } = parts
  const all = async () =>
    statusOf({
      rows: await hosts.all(),
      own: own.all,
      now: clock.now(),
      pair: (name) => pairs.find(name),
      isBusy: (host) => lanes.isBusy(host),
      reasonAgainst: (host) => proofs.reasonAgainst(host),
    })
  const one = async (host: string): Promise<CertificateView> => {
    const found = (await all()).find((each) => each.host === host)
    if (found === undefined)
      throw new RivetrError('not_found', `no route and no uploaded certificate names ${host}`)
    return found
  }
  return [
    defineRoute({
      method: 'GET',
      path: '/api/certificates',
      summary: 'How it stands with the certificate of every host',
      access: 'certificates:read',
      returns: z.object({ items: z.array(certificateView) }),
      handler: async () => ({ items: await all() }),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/certificates',
      summary: "Upload a certificate with its key; it wins over the CA's for all of its names",
      access: 'certificates:write',
      body: z.strictObject({ chain: z.string().max(262_144), key: z.string().max(65_536) }),
      returns: z.object({ items: z.array(certificateView) }),
      status: 201,
      async handler({ body }) {
        const pair = readPair(body.chain, body.key)
        await own.add(pair)
        await keeper.changed()
        return { items: (await all()).filter(({ host }) => pair.hosts.includes(host)) }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/certificates/:host',
      summary: 'How it stands with the certificate of a host',
      access: 'certificates:read',
      params,
      returns: certificateView,
      handler: ({ params: { host } }) => one(host),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/certificates/:host',
      summary: 'Remove the uploaded certificate that names a host',
      access: 'certificates:write',
      params,
      returns: z.undefined(),
      status: 204,
      async handler({ params: { host } }) {
        await own.remove(host)
        await keeper.changed()
        return undefined
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/certificates/:host/renew',
      summary: 'Ask the CA for a new certificate of a host now, whatever failed before',
      access: 'certificates:write',
      params,
      returns: certificateView,
      status: 202,
      async handler({ params: { host } }) {
        if (!lanes.isBusy(host)) await makeDue(host, parts)
        keeper.wake()
        return one(host)
      },
    }),
  ]
}

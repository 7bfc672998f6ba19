import { defineEntity, p } from '@rivetr/sdk'

/** What went wrong last, as people read it. */
export interface Fault {
  readonly message: string
  /** The CA's, such as `urn:ietf:params:acme:error:caa`. */
  readonly type?: string | undefined
  /** ISO 8601. */
  readonly at: string
}

/** What is known of a host that a route names, or named. Times are milliseconds since the epoch. */
export const Host = defineEntity({
  name: 'AcmeHost',
  tableName: 'acme__hosts',
  properties: {
    host: p.string().primary(),
    /** A route names it now. */
    wanted: p.boolean(),
    /** Name of the secret with its certificate; several hosts may share one. */
    pair: p.string().nullable(),
    renewAt: p.double().$type<number>().nullable(),
    /** When the CA is asked again whether it wants the certificate renewed (RFC 9773). */
    askAt: p.double().$type<number>().nullable(),
    failures: p.integer(),
    retryAt: p.double().$type<number>().nullable(),
    fault: p.json<Fault>().nullable(),
    /** Orders of the last hour. */
    orders: p.json<number[]>(),
    /** Days left that were told last. */
    told: p.integer().nullable(),
  },
})

/** A CA that wants to be left alone by everybody. Milliseconds since the epoch. */
export const CaPause = defineEntity({
  name: 'AcmeCaPause',
  tableName: 'acme__ca_pauses',
  properties: {
    directoryUrl: p.string().primary(),
    until: p.double().$type<number>(),
  },
})

/** A certificate that somebody brought. Its PEM is the secret `acme.own.<id>`. */
export const Own = defineEntity({
  name: 'AcmeOwn',
  tableName: 'acme__own',
  properties: {
    /** Hash of its hosts: another for the same hosts takes its place. */
    id: p.string().primary(),
    hosts: p.json<string[]>(),
    addedAt: p.double().$type<number>(),
    told: p.integer().nullable(),
  },
})

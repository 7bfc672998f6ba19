import { hostName, providerName, z } from '@rivetr/sdk'

/** Whose names a DNS solver proves: the zone and everything below it. Keys of its own stand beside. */
const dnsZone = z
  .strictObject({
    zone: hostName,
    /** A `ChallengeSolver` of kind dns-01: `rfc2136`, `webhook`, or one of another plugin. */
    solver: providerName,
    /** rfc2136: host and port of the primary name server. */
    server: z
      .string()
      .regex(/^(\[[0-9a-f:.]+\]|[^\s:]+)(:\d{1,5})?$/i, 'a name server such as 192.0.2.1:53')
      .optional(),
    /** rfc2136: name of the TSIG key (hmac-sha256). */
    key: hostName.optional(),
    /** webhook: where `present` and `cleanup` are posted to. */
    url: z.url({ protocol: /^https?$/ }).optional(),
    /** File with the secret: of the TSIG key in base64, or of the webhook's signature. */
    file: z.string().min(1).optional(),
    /** Seconds until every name server has what the solver wrote. */
    wait: z.int().min(0).max(600).default(0),
  })
  .superRefine(({ solver, server, key, url, file }, check) => {
    const needed = solver === 'rfc2136' ? { server, key, file } : solver === 'webhook' ? { url, file } : {}
    for (const [name, value] of Object.entries(needed))
      if (value === undefined) check.addIssue(`a zone with the solver ${solver} needs ${name}`)
  })
export type DnsZone = z.output<typeof dnsZone>

/** The section [acme] of rivetr.toml. */
export const acmeConfig = z
  .strictObject({
    termsAgreed: z
      .boolean()
      .default(false)
      .describe('That you agree to the terms of service of the CA; nothing is issued before'),
    email: z.email().optional().describe('Where the CA may write to'),
    directoryUrl: z
      .url({ protocol: /^https$/ })
      .default('https://acme-v02.api.letsencrypt.org/directory')
      .describe('The directory of the CA (RFC 8555, section 7.1.1)'),
    caFile: z
      .string()
      .min(1)
      .optional()
      .describe('PEM file with the root under which the CA itself is reached, for a private one'),
    eabKid: z.string().min(1).optional().describe('External account binding: the id of the key'),
    eabKeyFile: z
      .string()
      .min(1)
      .optional()
      .describe('External account binding: a file with the HMAC key in base64url'),
    keyType: z
      .enum(['ec-256', 'ec-384', 'rsa-2048', 'rsa-4096'])
      .default('ec-256')
      .describe('Kind of the keys of certificates'),
    preferredChain: z
      .string()
      .min(1)
      .optional()
      .describe('Common name of an issuer: of the chains that the CA offers, one with it is taken'),
    challenges: z
      .array(z.enum(['http-01', 'tls-alpn-01']))
      .min(1)
      .default(['http-01', 'tls-alpn-01'])
      .describe(
        'How hosts outside of the zones of dns are proved, the best first; a failed try goes on with the next',
      ),
    dns: z
      .array(dnsZone)
      .default([])
      .describe('Zones whose hosts are proved in DNS, each with its solver; wildcards need one'),
    groups: z
      .array(z.array(hostName).min(2).max(100))
      .default([])
      .describe('Hosts that share a certificate; every other host has one of its own'),
    renewAfter: z
      .number()
      .min(0.1)
      .max(0.95)
      .default(2 / 3)
      .describe('Part of its life after which a certificate is renewed, where the CA names no time'),
    warnDays: z
      .array(z.int().min(1).max(365))
      .default([21, 7, 3, 1])
      .describe('Days before the end of a certificate at which it is told that nothing has replaced it'),
    maxOrders: z.int().min(1).max(50).default(5).describe('Certificates that are asked for at the same time'),
    orderTimeoutMs: z
      .int()
      .min(1_000)
      .max(3_600_000)
      .default(300_000)
      .describe('How long asking for one certificate may take'),
    precheck: z.boolean().default(true).describe('Look whether a host leads here before the CA is asked to'),
    precheckPort: z
      .int()
      .min(1)
      .max(65_535)
      .default(80)
      .describe('Port under which the CA reaches this machine by HTTP; 80 but for private CAs'),
    precheckResolver: z
      .string()
      .regex(/^(\[[0-9a-f:.]+\]|[0-9.]+)(:\d{1,5})?$/i, 'an address such as 192.0.2.1:53')
      .optional()
      .describe('Name server that the look before asks; by default as the machine does'),
  })
  .superRefine(({ eabKid, eabKeyFile }, check) => {
    if ((eabKid === undefined) !== (eabKeyFile === undefined))
      check.addIssue('external account binding needs both, eab_kid and eab_key_file')
  })
export type AcmeConfig = z.output<typeof acmeConfig>

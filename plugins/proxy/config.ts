import { isIP } from 'node:net'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { z } from '@rivetr/sdk'
import type { LauncherSettings } from './launcher/protocol.ts'
import manifest from './package.json' with { type: 'json' }

const timeoutMs = z.int().min(10).max(86_400_000)

const port = z.int().min(0).max(65_535)

const addressRange = z.string().refine((range) => {
  const [address = '', prefix, ...rest] = range.split('/')
  const bits = isIP(address) === 6 ? 128 : 32
  return (
    isIP(address) !== 0 &&
    rest.length === 0 &&
    (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits))
  )
}, 'an address or a range such as 10.0.0.0/8')

/** The section [proxy] of rivetr.toml. */
export const proxyConfig = z
  .strictObject({
    httpPort: port.default(80).describe('Port for HTTP; 0 takes any free one'),
    httpsPort: z
      .union([port, z.literal('off')], 'a port from 0 to 65535, or "off"')
      .default(443)
      .describe('Port for HTTPS; 0 takes any free one, "off" leaves it out'),
    httpAddress: z
      .string()
      .refine((address) => isIP(address) !== 0, 'an IP address')
      .default('::')
      .describe('Address to listen on; :: is every address of both families'),
    edges: z
      .int()
      .min(1)
      .max(256)
      .default(availableParallelism())
      .describe('Processes that serve; one per core by default'),
    handshakeTimeoutMs: timeoutMs
      .default(10_000)
      .describe('How long a client may take for its TLS handshake'),
    headersTimeoutMs: timeoutMs
      .default(30_000)
      .describe('How long a client may take to send the fields of a request'),
    keepAliveTimeoutMs: timeoutMs
      .default(65_000)
      .describe('How long a client connection is kept without a request'),
    uploadIdleTimeoutMs: timeoutMs.default(120_000).describe('How long an upload may stand still'),
    connectTimeoutMs: timeoutMs.default(5_000).describe('How long connecting to a replica may take'),
    firstByteTimeoutMs: timeoutMs.default(60_000).describe('How long a replica may take to begin its answer'),
    streamIdleTimeoutMs: timeoutMs
      .default(3_600_000)
      .describe('How long an answer may stand still, event streams included'),
    drainMs: timeoutMs.default(30_000).describe('How long an edge that ends goes on with what is in flight'),
    trustedProxies: z
      .array(addressRange)
      .default([])
      .describe('Proxies in front of this one whose X-Forwarded-* fields are believed'),
    proxyProtocol: z
      .boolean()
      .default(false)
      .describe(
        'Every connection begins with a PROXY header (v1 or v2) of a trusted proxy; others are closed',
      ),
    accessLog: z
      .enum(['off', 'errors', 'all'])
      .default('errors')
      .describe('Which requests are written down; errors are answers of 500 and above, and what broke'),
    accessLogFileBytes: z
      .int()
      .min(1024)
      .default(16 * 1024 * 1024)
      .describe('A file of the access log of this size is put aside'),
    accessLogFiles: z
      .int()
      .min(1)
      .max(1000)
      .default(4)
      .describe('So many files of the access log are kept per edge, besides the one that is written'),
  })
  .refine(({ httpPort, httpsPort }) => httpPort !== httpsPort || httpPort === 0, {
    path: ['httpsPort'],
    error: 'the same port as http_port',
  })
  .refine(({ proxyProtocol, trustedProxies }) => !proxyProtocol || trustedProxies.length > 0, {
    path: ['proxyProtocol'],
    error: 'needs trusted_proxies: the addresses from which connections may come',
  })
export type ProxyConfig = z.output<typeof proxyConfig>

export function launcherSettings(config: ProxyConfig, dataDir: string): LauncherSettings {
  const { httpPort, httpsPort, httpAddress, edges, ...edge } = config
  return {
    version: manifest.version,
    socket: join(dataDir, 'launcher.sock'),
    folder: join(dataDir, 'edges'),
    address: httpAddress,
    port: httpPort,
    tlsPort: httpsPort === 'off' ? null : httpsPort,
    edges,
    edge,
  }
}

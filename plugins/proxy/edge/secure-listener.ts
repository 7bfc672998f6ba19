import { constants } from 'node:crypto'
import type { AddressInfo, Socket } from 'node:net'
import { createSecureContext, createServer, type Server, type TLSSocket } from 'node:tls'
import type { EdgeSettings } from '../launcher/protocol.ts'
import { TrustedProxies } from './forwarding.ts'
import { hostOf } from './host.ts'
import { Http2Sessions } from './http2-sessions.ts'
import { endHandshake } from './plain-on-tls.ts'
import { expectProxyHeader } from './proxy-protocol.ts'
import type { Requests } from './requests.ts'
import { SecureContexts, sessionIdContext } from './secure-contexts.ts'
import { sessionLifeS, ticketKeys } from './session-tickets.ts'
import type { Table } from './table.ts'

/** Mozilla's list for servers of today, without finite-field DHE: all have forward secrecy and an AEAD (RFC 9325 §4.2). */
const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

/** How a connection is encrypted, whatever the certificate. */
const policy = {
  ciphers,
  minVersion: 'TLSv1.2',
  honorCipherOrder: false, // a client knows whether its processor has AES
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  sessionIdContext,
  sessionTimeout: sessionLifeS,
} as const

/** RFC 8737 §4. */
const acmeProtocol = 'acme-tls/1'
/** What a client may choose from, the best first. */
const protocols = ['h2', 'http/1.1']

/** Accepts connections on the HTTPS port, and hands each on once it is encrypted. */
export class SecureListener {
  /** What has an encrypted connection that speaks HTTP/1.1 next. */
  onSecured: (socket: TLSSocket) => void = (socket) => socket.destroy()
  #ticketSecret = ''
  #certificates: Table['certificates'] | undefined
  #fallback: Table['fallback']
  readonly #table: Table
  readonly #contexts = new SecureContexts()
  readonly #http2: Http2Sessions
  readonly #server: Server
  readonly #open = new Set<Socket>()
  /** Connections on which a CA looks for its proof. */
  readonly #proving = new WeakSet<TLSSocket>()

  constructor(settings: EdgeSettings, table: Table, requests: Requests) {
    this.#table = table
    this.#http2 = new Http2Sessions(settings, requests, table)
    const listener = this
    this.#server = createServer({
      ...policy,
      handshakeTimeout: settings.handshakeTimeoutMs,
      allowHalfOpen: true, // see `Presence`
      noDelay: true,
      keepAlive: true,
      // Node calls both as methods of the connection. TLS 1.3 asks for the protocol first, TLS 1.2 for the certificate.
      ALPNCallback(this: TLSSocket, offer) {
        return listener.#chooseProtocol(this, offer)
      },
      SNICallback(this: TLSSocket, name, done) {
        done(null, listener.#chooseContext(this, name))
      },
    })
    this.#server.on('connection', (socket: Socket) => {
      this.#open.add(socket)
      socket.once('close', () => this.#open.delete(socket))
    })
    if (settings.proxyProtocol) expectProxyHeader(this.#server, new TrustedProxies(settings.trustedProxies))
    this.#server.on('tlsClientError', endHandshake)
    this.#server.on('secureConnection', (socket) => {
      if (socket.alpnProtocol === acmeProtocol) socket.on('error', () => undefined).end()
      else if (socket.alpnProtocol === 'h2') this.#http2.take(socket)
      else this.onSecured(socket)
    })
  }

  /** Resolves with the port. */
  listen(on: { fd: number } | { host: string; port: number }): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    this.#server.once('error', reject)
    this.#server.listen(on, () => resolve((this.#server.address() as AddressInfo).port))
    return promise
  }

  /** The table is another: the next handshake is by its certificates. */
  tableChanged(): void {
    const { certificates, fallback } = this.#table
    const isOtherFallback = fallback !== undefined && fallback.key !== this.#fallback?.key
    if (certificates === this.#certificates && !isOtherFallback) return
    this.#certificates = certificates
    this.#contexts.moveTo(certificates)
    if (isOtherFallback) {
      this.#fallback = fallback
      this.#server.setSecureContext({
        cert: fallback.chain,
        key: fallback.key,
        ...policy,
      })
    }
    this.#setTicketKeys()
  }

  /** Sessions begun under the secret before are not resumed any more. */
  useTicketSecret(secret: string): void {
    this.#ticketSecret = secret
    this.#setTicketKeys()
  }

  /** Stops accepting; resolves when the last connection has ended. */
  close(): Promise<void> {
    this.#http2.drain()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }

  cutAll(): void {
    for (const socket of this.#open) socket.destroy()
  }

  #setTicketKeys(): void {
    if (this.#ticketSecret === '') return
    this.#server.setTicketKeys(ticketKeys(this.#ticketSecret, this.#table.certificates))
  }

  /** Undefined ends the handshake with `no_application_protocol` (RFC 7301 §3.2). */
  #chooseProtocol(socket: TLSSocket, offer: { servername: string; protocols: string[] }): string | undefined {
    if (offer.protocols.length > 1 || offer.protocols[0] !== acmeProtocol)
      return protocols.find((protocol) => offer.protocols.includes(protocol))
    const challenge = this.#table.challenges.certificateFor(hostOf(String(offer.servername)))
    if (challenge === undefined) return undefined
    this.#proving.add(socket)
    // In TLS 1.2 the host's own certificate was chosen by now. One of another kind of key cannot be replaced any more:
    // such a CA does not see its proof.
    socket.setKeyCert(createSecureContext({ cert: challenge.chain, key: challenge.key }))
    return acmeProtocol
  }

  /** Undefined is the certificate of the server itself. */
  #chooseContext(socket: TLSSocket, name: string) {
    const host = hostOf(name)
    const challenge = this.#proving.has(socket) ? this.#table.challenges.certificateFor(host) : undefined
    if (challenge !== undefined) return createSecureContext({ cert: challenge.chain, key: challenge.key })
    const certificate = this.#table.certificates.find(host)
    return certificate && this.#contexts.get(certificate)
  }
}

import { createSecureContext, type SecureContext } from 'node:tls'
import type { TableCertificate } from '@rivetr/sdk'
import { log } from '../launcher/log.ts'
import type { Certificates } from './certificates.ts'

/** About 100 KiB each. */
const keptContexts = 500

/** Tickets of one edge are good at another, and under every certificate: see `ticketKeys`. */
export const sessionIdContext = 'rivetr'

/** What OpenSSL makes of a certificate and its key: made with the first handshake that needs it, and kept. */
export class SecureContexts {
  /** The one used last comes last. Undefined: it cannot be served. */
  readonly #kept = new Map<TableCertificate, SecureContext | undefined>()

  /** Undefined for one that OpenSSL does not take: that is the trouble of its own hosts, and of nobody else. */
  get(certificate: TableCertificate): SecureContext | undefined {
    const context = this.#kept.has(certificate) ? this.#kept.get(certificate) : make(certificate)
    this.#kept.delete(certificate)
    this.#kept.set(certificate, context)
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > keptContexts && oldest !== undefined) this.#kept.delete(oldest)
    return context
  }

  /** Goes on to another table; what is made for certificates that stayed is kept. */
  moveTo(certificates: Certificates): void {
    const before = [...this.#kept]
    this.#kept.clear()
    for (const [{ hosts, chain, key }, context] of before) {
      const now = certificates.find(hosts[0]?.replace('*', 'any') ?? '')
      if (now?.chain === chain && now.key === key) this.#kept.set(now, context)
    }
  }
}

function make({ hosts, chain, key }: TableCertificate): SecureContext | undefined {
  try {
    return createSecureContext({ cert: chain, key, sessionIdContext })
  } catch (error) {
    log('a certificate of the table cannot be served; its hosts get the default one', {
      hosts,
      error: String(error),
    })
    return undefined
  }
}

import { createHash, hkdfSync } from 'node:crypto'
import type { Certificates } from './certificates.ts'

/** A client resumes its session within this time. */
export const sessionLifeS = 6 * 3_600

/** As OpenSSL wants them: 16 bytes for the name, 16 for the HMAC, 16 for AES. */
const ticketKeyBytes = 48

/**
 * The keys under which sessions are handed to clients (RFC 5077; RFC 8446 §4.6.1), the same on every edge. They follow
 * from the certificates too: who resumes a session is shown none, so a new certificate ends what was begun under the
 * one before it.
 */
export function ticketKeys(secret: string, { fingerprint }: Certificates): Buffer {
  const certificates = createHash('sha256').update(fingerprint).digest()
  return Buffer.from(hkdfSync('sha256', secret, '', certificates, ticketKeyBytes))
}

import { createHash } from 'node:crypto'
import type { CertificatesText } from './protocol.ts'

/** Two texts of one revision are the same text, whoever made them and when. */
export function revisionOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}

export function certificatesText(text: string): CertificatesText {
  return { revision: revisionOf(text), text }
}

/** The file in an edge's folder in which certificates of that revision rest. */
export function certificatesFile(revision: string): string {
  return `certificates-${revision}.json`
}

/** Whether a file of that name holds certificates. */
export function isCertificatesFile(name: string): boolean {
  return /^certificates-[\da-f]{32}\.json$/.test(name)
}

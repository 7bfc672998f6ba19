import type { TableCertificate } from '@rivetr/sdk'
import { certificatesText } from '../launcher/certificates-text.ts'
import type { CertificatesContent, CertificatesText } from '../launcher/protocol.ts'

/** The certificates of the last table as text, which is made anew only when one of them is another. */
export class LastCertificates {
  #content: CertificatesContent = {}
  #text = certificatesText('{}')

  textOf(content: CertificatesContent): CertificatesText {
    if (!isSame(content, this.#content)) {
      this.#text = certificatesText(JSON.stringify(content))
      this.#content = content
    }
    return this.#text
  }
}

function isSame(a: CertificatesContent, b: CertificatesContent): boolean {
  const [some, others] = [a.certificates ?? [], b.certificates ?? []]
  return (
    a.fallback?.key === b.fallback?.key &&
    a.fallback?.chain === b.fallback?.chain &&
    some.length === others.length &&
    some.every((each, index) => isSamePair(each, others[index] as TableCertificate))
  )
}

function isSamePair(a: TableCertificate, b: TableCertificate): boolean {
  return a.key === b.key && a.chain === b.chain && a.hosts.join(' ') === b.hosts.join(' ')
}

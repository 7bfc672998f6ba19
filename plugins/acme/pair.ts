import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { hostName, messageOf, RivetrError } from '@rivetr/sdk'

/** A certificate with its key, checked: they fit, and the chain is in the order in which it is sent. */
export interface Pair {
  /** PEM, leaf first. */
  readonly chain: string
  /** PEM, PKCS #8. */
  readonly key: string
  /** DNS names of the leaf, as hosts are stored. */
  readonly hosts: readonly string[]
  /** Milliseconds since the epoch. */
  readonly notBefore: number
  readonly notAfter: number
  readonly issuer: string
  /** SHA-256 of the leaf, as browsers show it. */
  readonly fingerprint: string
}

/** Reads and judges what somebody brings or what was stored. Errors: `invalid_input`, with what is wrong and what to do. */
export function readPair(chainPem: string, keyPem: string): Pair {
  const certificates = readCertificates(chainPem)
  const key = readKey(keyPem)
  const leaf = certificates.find((certificate) => certificate.checkPrivateKey(key))
  if (leaf === undefined)
    refuse('the private key belongs to none of the certificates; bring the key of the first')
  const chain = inOrder(leaf, certificates)
  const hosts = namesOf(leaf)
  if (hosts.length === 0) refuse('the certificate has no DNS name that a route could have')
  return {
    chain: chain.map((certificate) => certificate.toString()).join(''),
    key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    hosts,
    notBefore: leaf.validFromDate.getTime(),
    notAfter: leaf.validToDate.getTime(),
    issuer: /^(?:CN|O)=(.*)$/m.exec(leaf.issuer)?.[1] ?? leaf.issuer.replaceAll('\n', ', '),
    fingerprint: leaf.fingerprint256,
  }
}

/** Whether the pair speaks for the host, by its name or by a wildcard of one label (RFC 6125, section 6.4.3). */
export function covers(pair: Pick<Pair, 'hosts'>, host: string): boolean {
  return pair.hosts.includes(host) || (!host.startsWith('*.') && pair.hosts.includes(wildcardOf(host)))
}

/** What of a chain has ended, in words; undefined where nothing has. */
export function endedIn(chain: string, now: number): string | undefined {
  const ended = readCertificates(chain).find(({ validToDate }) => validToDate.getTime() <= now)
  return ended === undefined
    ? undefined
    : `the certificate of ${oneLine(ended.subject)} has ended at ${ended.validToDate.toISOString()}`
}

function wildcardOf(host: string): string {
  return host.replace(/^[^.]+/, '*')
}

function readCertificates(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0)
    refuse('there is no certificate in it: it must be PEM, "-----BEGIN CERTIFICATE-----"')
  if (blocks.length > 10) refuse(`a chain of ${blocks.length} certificates is longer than any CA gives`)
  const seen = new Set<string>()
  const certificates = blocks.map((block, index) => {
    try {
      return new X509Certificate(block)
    } catch (error) {
      return refuse(`certificate ${index + 1} of the chain cannot be read: ${messageOf(error)}`)
    }
  })
  return certificates.filter(({ fingerprint256 }) => !seen.has(fingerprint256) && seen.add(fingerprint256))
}

const keyKinds = ['rsa', 'rsa-pss', 'ec', 'ed25519']

function readKey(pem: string): KeyObject {
  if (/BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(pem))
    refuse(
      'the private key is encrypted; take its passphrase away first: openssl pkey -in key.pem -out plain.pem',
    )
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch (error) {
    return refuse(
      `the private key cannot be read: ${messageOf(error)}; it must be PEM, PKCS #8, PKCS #1 or SEC 1`,
    )
  }
  const kind = String(key.asymmetricKeyType)
  if (!keyKinds.includes(kind)) refuse(`a key of kind ${kind} cannot serve TLS; RSA, EC and Ed25519 can`)
  const bits = key.asymmetricKeyDetails?.modulusLength
  if (bits !== undefined && bits < 2048)
    refuse(`an RSA key of ${bits} bits is too short; clients want 2048 at least`)
  return key
}

/** Each certificate followed by the one that signed it (RFC 8446, section 4.4.2); a root at the end is no use to a client. */
function inOrder(leaf: X509Certificate, all: readonly X509Certificate[]): X509Certificate[] {
  const chain = [leaf]
  const left = new Set(all.filter((certificate) => certificate !== leaf))
  for (let last = leaf; ; ) {
    const issuer = [...left].find(
      (candidate) => last.checkIssued(candidate) && last.verify(candidate.publicKey),
    )
    if (issuer === undefined) break
    left.delete(issuer)
    chain.push(issuer)
    last = issuer
  }
  if (left.size > 0) {
    const [stray] = left
    refuse(
      `the certificate of ${oneLine(stray?.subject)} has no place in the chain of ${oneLine(leaf.subject)}; leave it out`,
    )
  }
  const root = chain.at(-1)
  const selfSigned =
    root !== undefined && chain.length > 1 && root.checkIssued(root) && root.verify(root.publicKey)
  return selfSigned ? chain.slice(0, -1) : chain
}

/** Node tells them as `DNS:a.test, IP Address:192.0.2.1`; a name in quotation marks is none that a route could have. */
function namesOf({ subjectAltName = '' }: X509Certificate): string[] {
  const names = [...subjectAltName.matchAll(/(?<=^|, )DNS:([^",\s]+)(?=,|$)/g)].flatMap(([, name]) => {
    const host = hostName.safeParse(name)
    return host.success ? [host.data] : []
  })
  return [...new Set(names)].sort()
}

function oneLine(subject: string | undefined): string {
  return subject?.replaceAll('\n', ', ') || 'an unnamed subject'
}

function refuse(reason: string): never {
  throw new RivetrError('invalid_input', reason)
}

import { createPrivateKey, type KeyObject, randomBytes, webcrypto } from 'node:crypto'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

/** What a certificate of a test is to be like. */
export interface TestCertificateTerms {
  /** DNS names and IP addresses. */
  readonly names: readonly string[]
  readonly key?: 'ec' | 'rsa' | 'ed25519'
  readonly notBefore?: Date
  readonly notAfter?: Date
}

/** PEM. */
export interface TestCertificate {
  readonly certificate: string
  readonly key: string
}

const algorithms = {
  ec: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  rsa: {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    publicExponent: new Uint8Array([1, 0, 1]),
    modulusLength: 2048,
  },
  ed25519: { name: 'Ed25519' },
} as const

type KeyKind = keyof typeof algorithms

/** A certificate authority for tests: signs leaves, and authorities below itself. */
export class TestAuthority {
  readonly #name: string
  readonly #keys: webcrypto.CryptoKeyPair
  readonly #own: X509Certificate

  private constructor(name: string, keys: webcrypto.CryptoKeyPair, own: X509Certificate) {
    this.#name = name
    this.#keys = keys
    this.#own = own
  }

  static async create(name = 'Test Root', terms: Partial<TestCertificateTerms> = {}): Promise<TestAuthority> {
    const keys = await newKeys('ec')
    return new TestAuthority(name, keys, await sign(name, keys, name, keys, terms, await asAuthority(keys)))
  }

  /** An intermediate, signed by this one. */
  async below(name: string, terms: Partial<TestCertificateTerms> = {}): Promise<TestAuthority> {
    const keys = await newKeys('ec')
    const own = await sign(name, keys, this.#name, this.#keys, terms, await asAuthority(keys, this.#own))
    return new TestAuthority(name, keys, own)
  }

  /** Its own certificate, PEM. */
  get certificate(): string {
    return `${this.#own.toString('pem')}\n`
  }

  async issue(terms: TestCertificateTerms): Promise<TestCertificate> {
    const keys = await newKeys(terms.key ?? 'ec')
    const [name = ''] = terms.names
    const items = terms.names.map(
      (value) => ({ type: /^[\d.]+$|:/.test(value) ? 'ip' : 'dns', value }) as const,
    )
    const leaf = await sign(name, keys, this.#name, this.#keys, terms, [
      new SubjectAlternativeNameExtension(items),
      await AuthorityKeyIdentifierExtension.create(this.#own.publicKey),
    ])
    const key = await exported(keys.privateKey)
    return {
      certificate: `${leaf.toString('pem')}\n`,
      key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    }
  }
}

function newKeys(kind: KeyKind): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithms[kind], true, [
    'sign',
    'verify',
  ]) as Promise<webcrypto.CryptoKeyPair>
}

async function asAuthority(keys: webcrypto.CryptoKeyPair, issuer?: X509Certificate): Promise<Extension[]> {
  return [
    new BasicConstraintsExtension(true, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ...(issuer === undefined ? [] : [await AuthorityKeyIdentifierExtension.create(issuer.publicKey)]),
  ]
}

function sign(
  name: string,
  keys: webcrypto.CryptoKeyPair,
  issuerName: string,
  issuerKeys: webcrypto.CryptoKeyPair,
  terms: Partial<TestCertificateTerms>,
  extensions: Extension[],
): Promise<X509Certificate> {
  const day = 86_400_000
  return X509CertificateGenerator.create({
    serialNumber: `01${randomBytes(15).toString('hex')}`,
    subject: `CN=${name}`,
    issuer: `CN=${issuerName}`,
    notBefore: terms.notBefore ?? new Date(Date.now() - day),
    notAfter: terms.notAfter ?? new Date(Date.now() + 90 * day),
    signingAlgorithm: algorithms.ec,
    publicKey: keys.publicKey,
    signingKey: issuerKeys.privateKey,
    extensions,
  })
}

async function exported(key: webcrypto.CryptoKey): Promise<KeyObject> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key))
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
}

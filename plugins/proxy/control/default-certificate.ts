import { createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TableContent } from '../launcher/protocol.ts'

export type DefaultCertificate = NonNullable<TableContent['fallback']>

const lifeMs = 10 * 365 * 86_400_000
const renewBeforeMs = 30 * 86_400_000
/** RFC 6761 §6.4: no host has this name, so nothing is claimed by it. */
const name = 'rivetr.invalid'

/**
 * For hosts that no certificate covers: who trusts it does so by hand, and what follows is encrypted. Made once and kept
 * in the folder, so that it stays the same for those who did.
 */
export async function defaultCertificate(folder: string): Promise<DefaultCertificate> {
  const file = join(folder, 'default-certificate.pem')
  const kept = usable(await readFile(file, 'utf8').catch(() => ''))
  if (kept !== undefined) return kept
  const made = await make()
  await writeFile(`${file}.new`, `${made.chain}${made.key}`, { mode: 0o600 })
  await rename(`${file}.new`, file)
  return made
}

function usable(text: string): DefaultCertificate | undefined {
  const [, chain = '', key = ''] =
    /^(-----BEGIN CERT[\s\S]*?-----END CERTIFICATE-----\n)([\s\S]*)$/.exec(text) ?? []
  try {
    const certificate = new X509Certificate(chain)
    const lasts = Date.parse(certificate.validTo) - Date.now() > renewBeforeMs
    return lasts && certificate.checkPrivateKey(createPrivateKey(key)) ? { chain, key } : undefined
  } catch {
    return undefined // it was cut, or is not there yet
  }
}

async function make(): Promise<DefaultCertificate> {
  const { SubjectAlternativeNameExtension, X509CertificateGenerator } = await import('@peculiar/x509')
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: `01${randomBytes(15).toString('hex')}`,
    name: `CN=${name}`,
    notBefore: new Date(Date.now() - 86_400_000), // clocks differ
    notAfter: new Date(Date.now() + lifeMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [new SubjectAlternativeNameExtension([{ type: 'dns', value: name }])],
  })
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  return {
    chain: `${certificate.toString('pem')}\n`,
    key: key.export({ format: 'pem', type: 'pkcs8' }).toString(),
  }
}

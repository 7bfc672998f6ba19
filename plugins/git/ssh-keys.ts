import { createHash } from 'node:crypto'
import { RivetrError } from '@rivetr/sdk/errors' // not the whole sdk: see fault.ts
import ssh2, { type ParsedKey } from 'ssh2'

/** A pair of keys, in the forms in which people copy them. */
export interface KeyPair {
  /** PEM or OpenSSH, without a passphrase. */
  readonly privateKey: string
  /** A line of authorized_keys: kind, base64, comment. */
  readonly publicKey: string
  readonly fingerprint: string
}

/** An ed25519 pair. */
export function makeKeyPair(comment: string): KeyPair {
  for (;;) {
    const { private: privateKey, public: publicKey } = ssh2.utils.generateKeyPairSync('ed25519', { comment })
    // ssh2 cuts a leading zero off the key, of one pair in 200: no server takes that one (RFC 8709, section 4: 32 bytes).
    const blob = blobOf(publicKey)
    if (blob.length === ed25519BlobBytes) return { privateKey, publicKey, fingerprint: fingerprintOf(blob) }
  }
}

/** RFC 8709, section 4: the name and the 32 bytes of the key, each after its length. */
const ed25519BlobBytes = 4 + 'ssh-ed25519'.length + 4 + 32

/** The pair of a private key that somebody brought; `invalid_input` when it is none, or one that wants a passphrase. */
export function readPrivateKey(text: string, comment: string): KeyPair {
  const privateKey = `${text.replace(/\r\n?/g, '\n').trim()}\n`
  const key = parsed(privateKey)
  if (!key.isPrivateKey()) throw invalid('this is a public key; a deploy key is made of the private one')
  const blob = key.getPublicSSH()
  return {
    privateKey,
    publicKey: `${key.type} ${blob.toString('base64')} ${comment}`,
    fingerprint: fingerprintOf(blob),
  }
}

function parsed(privateKey: string): ParsedKey {
  const key = ssh2.utils.parseKey(privateKey)
  if (!(key instanceof Error)) return (Array.isArray(key) ? key[0] : key) as ParsedKey
  if (/passphrase|encrypted/i.test(key.message))
    throw invalid('the key has a passphrase; take it off a copy with "ssh-keygen -p", or have a key made')
  throw invalid(`this is not a private key of ssh: ${key.message}`)
}

/** A host's key as known_hosts and its documentation show it, without what stands around it; `invalid_input` when it is none. */
export function readHostKey(text: string): { readonly key: string; readonly fingerprint: string } {
  const key = ssh2.utils.parseKey(text.trim())
  const one = (Array.isArray(key) ? key[0] : key) as ParsedKey | Error | undefined
  if (one === undefined || one instanceof Error || one.isPrivateKey())
    throw invalid('this is not a public key such as "ssh-ed25519 AAAA…"')
  return hostKeyOf(one.getPublicSSH())
}

/** From its bytes on the wire, which begin with the name of its kind (RFC 4253, 6.6). */
export function hostKeyOf(blob: Buffer): { readonly key: string; readonly fingerprint: string } {
  const kind = blob.subarray(4, 4 + blob.readUInt32BE(0)).toString('latin1')
  return { key: `${kind} ${blob.toString('base64')}`, fingerprint: fingerprintOf(blob) }
}

/** As OpenSSH prints it: `SHA256:` and base64 without padding. */
export function fingerprintOf(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`
}

function blobOf(line: string): Buffer {
  return Buffer.from(line.split(' ')[1] ?? '', 'base64')
}

function invalid(message: string): RivetrError {
  return new RivetrError('invalid_input', message)
}

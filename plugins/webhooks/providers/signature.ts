import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** A secret of nothing but spaces is none: whoever sends nothing would fit it. */
export function isSecret(secret: string): boolean {
  return secret.trim() !== ''
}

/** Whether the digest, as 64 hex digits, is the HMAC-SHA-256 of the bytes. */
export function hexHmacFits(digest: string, secret: string, bytes: Uint8Array): boolean {
  if (!isSecret(secret) || !/^[0-9a-f]{64}$/.test(digest)) return false
  return timingSafeEqual(Buffer.from(digest, 'hex'), createHmac('sha256', secret).update(bytes).digest())
}

/** Whether two texts are equal; hashed first, so that the time tells nothing of their lengths either. */
export function sameText(one: string, other: string): boolean {
  return timingSafeEqual(sha256(one), sha256(other))
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

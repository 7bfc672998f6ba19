import { createHash, randomBytes } from 'node:crypto'

/** 256 random bits: too many to guess, so a plain hash of it is enough. */
export function newBearer(prefix = ''): string {
  return prefix + randomBytes(32).toString('base64url')
}

/** What is stored in place of it. */
export function hashOf(bearer: string): string {
  return createHash('sha256').update(bearer).digest('hex')
}

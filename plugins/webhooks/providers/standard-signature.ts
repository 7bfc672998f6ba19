import { createHmac, timingSafeEqual } from 'node:crypto'
import type { WebhookHeaders } from '@rivetr/sdk'
import { singleHeader } from './payload.ts'
import { isSecret } from './signature.ts'

/** "within some allowable tolerance of the current timestamp"; the specification's own libraries take five minutes. */
const toleranceMs = 5 * 60_000
/** A sender that changes its secret signs with both; nobody has use for more than a few. */
const mostSignatures = 10

/**
 * The signature of the Standard Webhooks specification 1.0.0, "Verifying webhook authenticity": `webhook-signature` is a
 * list of `v1,` and the base64 of HMAC-SHA-256 over `{webhook-id}.{webhook-timestamp}.{body}`; one that fits is enough.
 */
export function standardSignatureFits(
  rawBody: Uint8Array,
  headers: WebhookHeaders,
  secret: string,
  nowMs: number,
): boolean {
  const id = singleHeader(headers, 'webhook-id')
  const timestamp = singleHeader(headers, 'webhook-timestamp')
  const signatures = singleHeader(headers, 'webhook-signature')
  if (id === undefined || timestamp === undefined || signatures === undefined || !isSecret(secret))
    return false
  // "Important that the message id not be allowed to include any `.`": a body cannot move into it.
  if (id.includes('.') || !/^\d{1,12}$/.test(timestamp)) return false
  if (Math.abs(nowMs - Number(timestamp) * 1_000) > toleranceMs) return false
  const key = keyOf(secret)
  if (key.length === 0) return false
  const right = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(rawBody).digest()
  return signatures
    .split(' ')
    .slice(0, mostSignatures)
    .some((signature) => fits(signature, right))
}

/** "Secret serialization": base64 behind `whsec_`. A secret without it is the key as it stands. */
function keyOf(secret: string): Buffer {
  const prefix = 'whsec_'
  return secret.startsWith(prefix) ? Buffer.from(secret.slice(prefix.length), 'base64') : Buffer.from(secret)
}

function fits(signature: string, right: Buffer): boolean {
  const digest = /^v1,([A-Za-z0-9+/]{43}=)$/.exec(signature)?.[1]
  return digest !== undefined && timingSafeEqual(Buffer.from(digest, 'base64'), right)
}

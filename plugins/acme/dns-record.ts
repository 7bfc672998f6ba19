import { createHash } from 'node:crypto'
import type { Challenge } from '@rivetr/sdk'

/** RFC 8555, section 8.4: the TXT record that shows control over a name. */
export function recordOf({ host, keyAuthorization }: Challenge): { name: string; value: string } {
  return {
    name: `_acme-challenge.${host}`,
    value: createHash('sha256').update(keyAuthorization).digest('base64url'),
  }
}

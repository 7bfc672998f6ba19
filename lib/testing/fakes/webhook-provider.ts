import { createHmac, timingSafeEqual } from 'node:crypto'
import {
  commitId,
  RivetrError,
  type WebhookEvent,
  type WebhookHeaders,
  type WebhookProvider,
  z,
} from '@rivetr/sdk'

const payload = z.discriminatedUnion('event', [
  z.object({
    event: z.literal('push'),
    url: z.string().min(1),
    branch: z.string().min(1),
    /** Null: the branch is gone. */
    commit: commitId.nullable(),
  }),
  z.object({ event: z.literal('starred') }),
])

/**
 * A git host that there is not, as small as one can be: `x-fake-signature` is the hex HMAC-SHA-256 of the body,
 * `x-fake-delivery` the id, the body `{ event: 'push', url, branch, commit }`.
 */
export class FakeWebhookProvider implements WebhookProvider {
  readonly ignoresCase = false

  verify(rawBody: Uint8Array, headers: WebhookHeaders, secret: string): boolean {
    const signature = headers['x-fake-signature']
    if (typeof signature !== 'string' || !/^[0-9a-f]{64}$/.test(signature) || secret.trim() === '')
      return false
    const right = createHmac('sha256', secret).update(rawBody).digest()
    return timingSafeEqual(Buffer.from(signature, 'hex'), right)
  }

  deliveryId(headers: WebhookHeaders): string | undefined {
    const id = headers['x-fake-delivery']
    return typeof id === 'string' && /^[\w-]{1,100}$/.test(id) ? id : undefined
  }

  parse(rawBody: Uint8Array): WebhookEvent[] {
    const told = read(rawBody)
    if (told.event === 'starred') return [{ kind: 'ignored', reason: 'a star deploys nothing' }]
    const { url, branch, commit } = told
    const change = { ref: `refs/heads/${branch}`, urls: [url], repository: url }
    return [
      commit === null
        ? { kind: 'delete', ...change }
        : { kind: 'push', branch, commit: { id: commit }, ...change },
    ]
  }
}

function read(rawBody: Uint8Array): z.output<typeof payload> {
  try {
    return payload.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(rawBody)))
  } catch (cause) {
    throw new RivetrError('invalid_input', 'not a webhook of the fake host', { cause })
  }
}

import { type Clock, type WebhookEvent, type WebhookHeaders, type WebhookProvider, z } from '@rivetr/sdk'
import { idFrom, malformed, readJson, readPayload } from './payload.ts'
import { refEvent } from './ref-event.ts'
import { standardSignatureFits } from './standard-signature.ts'

const host = 'the generic kind'

/**
 * A hook of anybody's making: a script of a git server, a build that is done. Signed as the Standard Webhooks
 * specification 1.0.0 says [S] (standardwebhooks.com; libraries in most languages), the payload in its structure with
 * Rivetr's own data, which the README describes.
 */
export class GenericWebhooks implements WebhookProvider {
  /** A git server behind it may well tell `Org/App` from `org/app`. */
  readonly ignoresCase = false
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** [S], "Signature scheme" and "Verifying signatures". */
  verify(rawBody: Uint8Array, headers: WebhookHeaders, secret: string): boolean {
    return standardSignatureFits(rawBody, headers, secret, this.#clock.now())
  }

  /** [S], "Webhook headers": "use the webhook-id header as an idempotency key". It is signed, too. */
  deliveryId(headers: WebhookHeaders): string | undefined {
    return idFrom(headers, 'webhook-id')
  }

  parse(rawBody: Uint8Array, headers: WebhookHeaders): WebhookEvent[] {
    // [S], "Payload structure": `type` names the event, `data` has what it is about.
    const json = readJson(host, rawBody, headers)
    const { type } = readPayload(host, z.object({ type: z.string().min(1).max(100) }), json)
    if (type === 'ping') return [{ kind: 'ping' }]
    if (type !== 'push' && type !== 'delete')
      return [{ kind: 'ignored', reason: `event ${type} deploys nothing` }]
    const { data } = readPayload(host, pushPayload, json)
    if (type === 'push' && data.commit === undefined) throw malformed(host, 'a push has "data.commit"')
    const commit = type === 'push' ? data.commit : undefined
    const urls = typeof data.repository === 'string' ? [data.repository] : data.repository
    return [
      refEvent(host, {
        ...data,
        after: commit,
        tagged: commit,
        described: [{ id: commit ?? '', message: data.message, author: data.author }],
        urls,
        repository: urls[0] ?? '',
        paths: data.paths,
      }),
    ]
  }
}

const pushPayload = z.object({
  data: z.object({
    /** The address of the repository, or several. */
    repository: z.union([z.string().min(1), z.array(z.string().min(1)).min(1).max(20)]),
    /** Whole: `refs/heads/main`. */
    ref: z.string().min(1),
    /** What the ref is now; a `delete` needs none. */
    commit: z.string().optional(),
    message: z.string().optional(),
    author: z.string().optional(),
    pusher: z.string().optional(),
    /** All that changed; absent: not known, so that every app that follows the branch is deployed. */
    paths: z.array(z.string()).optional(),
  }),
})

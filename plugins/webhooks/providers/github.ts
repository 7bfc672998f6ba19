import { type WebhookEvent, type WebhookHeaders, type WebhookProvider, z } from '@rivetr/sdk'
import { eventFrom, idFrom, readJson, readPayload, singleHeader } from './payload.ts'
import { changedFiles, pathsOf, refEvent } from './ref-event.ts'
import { hexHmacFits } from './signature.ts'

const host = 'GitHub'

/**
 * Webhooks of GitHub. Sources: GitHub Docs, "Validating webhook deliveries" [V] and "Webhook events and payloads" [E].
 */
export class GithubWebhooks implements WebhookProvider {
  readonly ignoresCase = true

  /** [V]: `X-Hub-Signature-256: sha256=` and the hex HMAC-SHA-256 of the body, keyed with the secret. */
  verify(rawBody: Uint8Array, headers: WebhookHeaders, secret: string): boolean {
    const signature = singleHeader(headers, 'x-hub-signature-256')
    if (!signature?.startsWith('sha256=')) return false
    return hexHmacFits(signature.slice('sha256='.length), secret, rawBody)
  }

  /** [E], "Delivery headers": a GUID; the same one when a person asks for a redelivery. */
  deliveryId(headers: WebhookHeaders): string | undefined {
    return idFrom(headers, 'x-github-delivery')
  }

  /** [E]: the body is JSON, or a form whose field `payload` is that JSON, as the webhook's content type says. */
  parse(rawBody: Uint8Array, headers: WebhookHeaders): WebhookEvent[] {
    // [E], "Delivery headers": the name of the event.
    const event = eventFrom(host, headers, 'x-github-event')
    const json = readJson(host, rawBody, headers)
    if (event === 'ping') return [{ kind: 'ping' }]
    if (event !== 'push') return [{ kind: 'ignored', reason: `event ${event} deploys nothing` }]
    return [pushed(readPayload(host, pushPayload, json))]
  }
}

/** [E], "push". Only what is used, so that what GitHub adds does no harm. */
const pushPayload = z.object({
  /** The full ref that was pushed: `refs/heads/main`, `refs/tags/v1`. */
  ref: z.string(),
  /** The object at `ref` after the push; all zeros when it was deleted. */
  after: z.string(),
  created: z.boolean().nullish(),
  deleted: z.boolean().nullish(),
  forced: z.boolean().nullish(),
  /** At most 2048. */
  commits: z.array(z.object(changedFiles)).nullish(),
  /** The commit at `ref`, also where `after` is an annotated tag. */
  head_commit: z
    .object({
      id: z.string(),
      message: z.string().nullish(),
      author: z.object({ name: z.string().nullish() }).nullish(),
    })
    .nullish(),
  pusher: z.object({ name: z.string().nullish() }).nullish(),
  repository: z.object({
    full_name: z.string(),
    clone_url: z.string().nullish(),
    ssh_url: z.string().nullish(),
    html_url: z.string().nullish(),
  }),
})

const mostCommits = 2048

function pushed(push: z.output<typeof pushPayload>): WebhookEvent {
  const { ref, after, deleted, head_commit: head, repository, commits } = push
  // The commits of a new branch and of a forced push are not the difference to what was there before.
  const whole = push.forced !== true && push.created !== true && (commits?.length ?? 0) < mostCommits
  return refEvent(host, {
    ref,
    after: deleted === true ? null : after,
    tagged: head?.id,
    described: [head && { ...head, author: head.author?.name }],
    urls: [repository.clone_url, repository.ssh_url, repository.html_url],
    repository: repository.full_name,
    pusher: push.pusher?.name,
    paths: whole ? pathsOf(commits) : undefined,
  })
}

import { type WebhookEvent, type WebhookHeaders, type WebhookProvider, z } from '@rivetr/sdk'
import { eventFrom, idFrom, isForm, payloadText, readJson, readPayload, singleHeader } from './payload.ts'
import { changedFiles, isPresent, pathsOf, refEvent } from './ref-event.ts'
import { hexHmacFits } from './signature.ts'

const host = 'Gitea or Forgejo'

/**
 * Webhooks of Gitea, and of Forgejo, which sends the same under two names of each header. Sources: Gitea Docs,
 * "Webhooks" [W]; Forgejo Docs, "Webhooks" [F]; shapes are those of Gitea's `modules/structs/hook.go` [H], the headers
 * and what is signed those of its `services/webhook/deliver.go` [D].
 */
export class GiteaWebhooks implements WebhookProvider {
  /** Gitea keeps a lower-case name of each repository and finds it by that. */
  readonly ignoresCase = true

  /**
   * [W], [F], [D]: `X-Gitea-Signature` (`X-Forgejo-Signature`) is the hex HMAC-SHA-256 of the payload; empty without a
   * secret. The payload is the body, or for a form its field `payload`: then it is the field that is signed.
   */
  verify(rawBody: Uint8Array, headers: WebhookHeaders, secret: string): boolean {
    const name = headers['x-forgejo-signature'] === undefined ? 'x-gitea-signature' : 'x-forgejo-signature'
    const signature = singleHeader(headers, name)
    if (signature === undefined) return false
    if (!isForm(headers)) return hexHmacFits(signature, secret, rawBody)
    const payload = payloadText(rawBody, headers)
    return payload !== undefined && hexHmacFits(signature, secret, Buffer.from(payload))
  }

  /** [W], [D]: a UUID of the task; the same when a person presses "Replay". */
  deliveryId(headers: WebhookHeaders): string | undefined {
    return idFrom(headers, 'x-forgejo-delivery', 'x-gitea-delivery')
  }

  parse(rawBody: Uint8Array, headers: WebhookHeaders): WebhookEvent[] {
    const event = eventFrom(host, headers, 'x-forgejo-event', 'x-gitea-event')
    const json = readJson(host, rawBody, headers)
    if (event === 'push') return [pushed(readPayload(host, pushPayload, json))]
    if (event === 'delete') return [deleted(readPayload(host, deletePayload, json))]
    return [{ kind: 'ignored', reason: `event ${event} deploys nothing` }]
  }
}

/** [H], `Repository` of `modules/structs/repo.go`. */
const repository = z.object({
  full_name: z.string(),
  clone_url: z.string().nullish(),
  ssh_url: z.string().nullish(),
  html_url: z.string().nullish(),
})
/** [H], `User`. */
const user = z.object({ login: z.string().nullish(), username: z.string().nullish() })
/** [H], `PayloadCommit`. */
const commit = z.object({
  id: z.string(),
  message: z.string().nullish(),
  author: z.object({ name: z.string().nullish() }).nullish(),
  ...changedFiles,
})

/** [H], `PushPayload`. Only what is used. */
const pushPayload = z.object({
  ref: z.string(),
  before: z.string().nullish(),
  after: z.string(),
  /** As many as the server's `PAYLOAD_COMMIT_LIMIT`. */
  commits: z.array(commit).nullish(),
  /** How many there really are. */
  total_commits: z.int().nullish(),
  head_commit: commit.nullish(),
  repository,
  pusher: user.nullish(),
})

/** [H], `DeletePayload`: `ref` is the short name. */
const deletePayload = z.object({
  ref: z.string(),
  ref_type: z.string(),
  repository,
  sender: user.nullish(),
})

function pushed(push: z.output<typeof pushPayload>): WebhookEvent {
  const { commits, head_commit: head, pusher } = push
  const whole = isPresent(push.before) && commits?.length === push.total_commits
  return refEvent(host, {
    ref: push.ref,
    after: push.after,
    tagged: head?.id,
    described: [head, ...(commits ?? [])].map((each) => each && { ...each, author: each.author?.name }),
    urls: addressesOf(push.repository),
    repository: push.repository.full_name,
    pusher: pusher?.login ?? pusher?.username,
    paths: whole ? pathsOf(commits) : undefined,
  })
}

function deleted(gone: z.output<typeof deletePayload>): WebhookEvent {
  const kind = gone.ref_type === 'tag' ? 'tags' : 'heads'
  return refEvent(host, {
    ref: `refs/${kind}/${gone.ref}`,
    described: [],
    urls: addressesOf(gone.repository),
    repository: gone.repository.full_name,
    pusher: gone.sender?.login ?? gone.sender?.username,
  })
}

function addressesOf({ clone_url, ssh_url, html_url }: z.output<typeof repository>) {
  return [clone_url, ssh_url, html_url]
}

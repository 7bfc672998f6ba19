import { type Clock, type WebhookEvent, type WebhookHeaders, type WebhookProvider, z } from '@rivetr/sdk'
import { eventFrom, idFrom, readJson, readPayload, singleHeader } from './payload.ts'
import { changedFiles, isPresent, pathsOf, refEvent } from './ref-event.ts'
import { isSecret, sameText } from './signature.ts'
import { standardSignatureFits } from './standard-signature.ts'

const host = 'GitLab'

/**
 * Webhooks of GitLab. Sources: GitLab Docs, "Webhooks" [W] with its section "Delivery headers", "Webhook events" [E];
 * the signing token is described with GitLab's merge requests 230944 and 231325 [S].
 */
export class GitlabWebhooks implements WebhookProvider {
  /** GitLab keeps paths of projects unique without regard to case. */
  readonly ignoresCase = true
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * [S]: with a signing token (`whsec_` and the base64 of 32 bytes), the signature of Standard Webhooks. [W], "Secret
   * token": else the secret itself stands in `X-Gitlab-Token`. A webhook may have both; one that fits is enough, as a
   * sender can leave the other out.
   */
  verify(rawBody: Uint8Array, headers: WebhookHeaders, secret: string): boolean {
    const token = singleHeader(headers, 'x-gitlab-token')
    const tokenFits = token !== undefined && isSecret(secret) && sameText(token, secret)
    return tokenFits || standardSignatureFits(rawBody, headers, secret, this.#clock.now())
  }

  /**
   * [W], "Delivery headers": `Idempotency-Key` stays the same over retries (GitLab 17.4), `webhook-id` is equal to it [S].
   * Before that there was only `X-Gitlab-Event-UUID`.
   */
  deliveryId(headers: WebhookHeaders): string | undefined {
    return idFrom(headers, 'webhook-id', 'idempotency-key', 'x-gitlab-event-uuid')
  }

  parse(rawBody: Uint8Array, headers: WebhookHeaders): WebhookEvent[] {
    // [W]: "Push Hook", "Tag Push Hook"; of a "System Hook" the payload says what it is.
    const event = eventFrom(host, headers, 'x-gitlab-event')
    const json = readJson(host, rawBody, headers)
    // [E]: system hooks have `event_name` alone for some events.
    const { object_kind: kind } = readPayload(host, z.object({ object_kind: z.string().nullish() }), json)
    const tellsOfPush = event === 'Push Hook' || event === 'Tag Push Hook'
    if (!tellsOfPush && kind !== 'push' && kind !== 'tag_push')
      return [{ kind: 'ignored', reason: `event ${event} deploys nothing` }]
    return [pushed(readPayload(host, pushPayload, json))]
  }
}

/** [E], "Push events" and "Tag events". Only what is used. */
const pushPayload = z.object({
  ref: z.string(),
  /** What the ref was before; all zeros when it is new. */
  before: z.string().nullish(),
  /** All zeros when the ref was deleted; the tag's object for an annotated tag. */
  after: z.string(),
  /** The commit to check out; null when the ref was deleted. */
  checkout_sha: z.string().nullish(),
  user_name: z.string().nullish(),
  user_username: z.string().nullish(),
  project: z.object({
    path_with_namespace: z.string(),
    git_http_url: z.string().nullish(),
    git_ssh_url: z.string().nullish(),
    web_url: z.string().nullish(),
  }),
  /** The newest 20 only. */
  commits: z
    .array(
      z.object({
        id: z.string(),
        message: z.string().nullish(),
        author: z.object({ name: z.string().nullish() }).nullish(),
        ...changedFiles,
      }),
    )
    .nullish(),
  /** How many there really are. */
  total_commits_count: z.int().nullish(),
})

function pushed(push: z.output<typeof pushPayload>): WebhookEvent {
  const { project, commits, before, after, checkout_sha: checkout } = push
  const whole = isPresent(before) && commits?.length === push.total_commits_count
  return refEvent(host, {
    ref: push.ref,
    after: isPresent(after) ? (checkout ?? after) : undefined,
    tagged: checkout,
    described: (commits ?? []).map((commit) => ({ ...commit, author: commit.author?.name })),
    urls: [project.git_http_url, project.git_ssh_url, project.web_url],
    repository: project.path_with_namespace,
    pusher: push.user_username ?? push.user_name,
    paths: whole ? pathsOf(commits) : undefined,
  })
}

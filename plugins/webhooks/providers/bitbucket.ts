import { type WebhookEvent, type WebhookHeaders, type WebhookProvider, z } from '@rivetr/sdk'
import { eventFrom, idFrom, malformed, readJson, readPayload, singleHeader } from './payload.ts'
import { refEvent } from './ref-event.ts'
import { hexHmacFits } from './signature.ts'

const host = 'Bitbucket'

/**
 * Webhooks of Bitbucket Cloud. Sources: Bitbucket Cloud support, "Manage webhooks", section "Secure webhooks" [M], and
 * "Event payloads" [E].
 */
export class BitbucketWebhooks implements WebhookProvider {
  /** Slugs of workspaces and repositories are lower-case. */
  readonly ignoresCase = true

  /** [M]: `X-Hub-Signature: sha256=` and the hex HMAC of the body; the word before `=` names the method. */
  verify(rawBody: Uint8Array, headers: WebhookHeaders, secret: string): boolean {
    const signature = singleHeader(headers, 'x-hub-signature')
    if (!signature?.startsWith('sha256=')) return false
    return hexHmacFits(signature.slice('sha256='.length), secret, rawBody)
  }

  /** [E], "HTTP headers": `X-Request-UUID` is the request's; `X-Attempt-Number` counts how often it was tried. */
  deliveryId(headers: WebhookHeaders): string | undefined {
    return idFrom(headers, 'x-request-uuid')
  }

  parse(rawBody: Uint8Array, headers: WebhookHeaders): WebhookEvent[] {
    // [E], "HTTP headers": the event's key.
    const event = eventFrom(host, headers, 'x-event-key')
    const json = readJson(host, rawBody, headers)
    if (event !== 'repo:push') return [{ kind: 'ignored', reason: `event ${event} deploys nothing` }]
    const push = readPayload(host, pushPayload, json)
    if (push.push.changes.length === 0)
      return [{ kind: 'ignored', reason: `the push to ${push.repository.full_name} changed no branch` }]
    return push.push.changes.map((change) => changed(push, change))
  }
}

/** [E], "Push": `new` and `old`. */
const ref = z.object({
  /** `branch`, `tag`; Mercurial's are gone. */
  type: z.string(),
  name: z.string(),
  /** The newest commit; that of a tag also where the tag is annotated. */
  target: z
    .object({
      hash: z.string(),
      message: z.string().nullish(),
      author: z
        .object({
          /** `Name <address>` */
          raw: z.string().nullish(),
          user: z.object({ display_name: z.string().nullish() }).nullish(),
        })
        .nullish(),
    })
    .nullish(),
})

/** [E], "Push". Only what is used; changed paths stand nowhere in it. */
const pushPayload = z.object({
  actor: z.object({ nickname: z.string().nullish(), display_name: z.string().nullish() }).nullish(),
  repository: z.object({
    full_name: z.string(),
    links: z.object({ html: z.object({ href: z.string().nullish() }).nullish() }).nullish(),
  }),
  push: z.object({
    /** One for every ref: "a push that changes several branches has several changes". */
    changes: z.array(
      z.object({
        /** What the ref is now; null when it was deleted. */
        new: ref.nullish(),
        /** What it was; null when it is new. */
        old: ref.nullish(),
      }),
    ),
  }),
})
type PushPayload = z.output<typeof pushPayload>
type Change = PushPayload['push']['changes'][number]

function changed({ repository, actor }: PushPayload, { new: now, old }: Change): WebhookEvent {
  const named = now ?? old
  if (!named) throw malformed(host, 'a change has neither "new" nor "old"')
  const { target } = now ?? {}
  if (now && !target) throw malformed(host, `"new" of ${now.name} has no target`)
  const prefix = { branch: 'refs/heads/', tag: 'refs/tags/' }[named.type] ?? `${named.type}/`
  return refEvent(host, {
    ref: `${prefix}${named.name}`,
    after: target?.hash,
    tagged: target?.hash,
    described: [target && { id: target.hash, message: target.message, author: authorOf(target.author) }],
    urls: [repository.links?.html?.href],
    repository: repository.full_name,
    pusher: actor?.nickname ?? actor?.display_name,
  })
}

type Author = NonNullable<z.output<typeof ref>['target']>['author']

function authorOf(author: Author): string | undefined {
  return author?.user?.display_name ?? author?.raw?.replace(/\s*<[^<>]*>$/, '') ?? undefined
}

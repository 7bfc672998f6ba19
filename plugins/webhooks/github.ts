import { createHmac, timingSafeEqual } from 'node:crypto'
import {
  commitId,
  RivetrError,
  type WebhookEvent,
  type WebhookHeaders,
  type WebhookProvider,
  z,
} from '@rivetr/sdk'

/**
 * Webhooks of GitHub. Sources: GitHub Docs, "Validating webhook deliveries" [V] and "Webhook events and payloads" [E].
 */
export class GithubWebhooks implements WebhookProvider {
  /** [V]: `X-Hub-Signature-256: sha256=` and the hex HMAC-SHA-256 of the body, keyed with the secret. */
  verify(rawBody: Uint8Array, headers: WebhookHeaders, secret: string): boolean {
    const signature = headers['x-hub-signature-256']
    if (secret.trim() === '' || typeof signature !== 'string') return false
    const digest = /^sha256=([0-9a-f]{64})$/.exec(signature)?.[1]
    if (digest === undefined) return false
    return timingSafeEqual(Buffer.from(digest, 'hex'), createHmac('sha256', secret).update(rawBody).digest())
  }

  /** [E], "Delivery headers": a GUID; the same one when a person asks for a redelivery. */
  deliveryId(headers: WebhookHeaders): string | undefined {
    const id = headers['x-github-delivery']
    return typeof id === 'string' && /^[\w-]{1,100}$/.test(id) ? id : undefined
  }

  parse(rawBody: Uint8Array, headers: WebhookHeaders): WebhookEvent {
    const delivery = this.deliveryId(headers)
    if (delivery === undefined) throw malformed('the header X-GitHub-Delivery is missing or odd')
    // [E], "Delivery headers": the name of the event.
    const event = headers['x-github-event']
    if (typeof event !== 'string') throw malformed('the header X-GitHub-Event is missing or repeated')
    const payload = payloadOf(rawBody, headers)
    if (event === 'ping') return { kind: 'ping', delivery }
    if (event !== 'push')
      return { kind: 'ignored', delivery, reason: `event ${event.slice(0, 50)} deploys nothing` }
    const push = pushPayload.safeParse(payload)
    if (!push.success) throw malformed(z.prettifyError(push.error), push.error)
    return pushEvent(push.data, delivery)
  }
}

/** [E], "push": names of changed paths per commit. GitHub leaves them out of some payloads, so none is relied on. */
const pushedCommit = z.object({
  added: z.array(z.string()).nullish(),
  modified: z.array(z.string()).nullish(),
  removed: z.array(z.string()).nullish(),
})

/** [E], "push". Only what is used, so that what GitHub adds does no harm. */
const pushPayload = z.object({
  /** The full ref that was pushed: `refs/heads/main`, `refs/tags/v1`. */
  ref: z.string(),
  /** The commit at `ref` after the push; all zeros when it was deleted. */
  after: z.string(),
  deleted: z.boolean().nullish(),
  forced: z.boolean().nullish(),
  /** At most 2048. */
  commits: z.array(pushedCommit).nullish(),
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
type PushPayload = z.output<typeof pushPayload>

const mostCommits = 2048
const heads = 'refs/heads/'

function pushEvent(push: PushPayload, delivery: string): WebhookEvent {
  const { ref, after, repository, head_commit: head } = push
  if (push.deleted === true || /^0+$/.test(after))
    return { kind: 'ignored', delivery, reason: `${ref} was deleted` }
  if (!ref.startsWith(heads)) return { kind: 'ignored', delivery, reason: `${ref} is not a branch` }
  if (!commitId.safeParse(after).success) throw malformed('"after" is not a commit id')
  // What is built is `after`; the head commit may say nothing of it (null), or be another one.
  const described = head?.id === after ? head : undefined
  const paths = changedPaths(push)
  return {
    kind: 'push',
    delivery,
    ref,
    branch: ref.slice(heads.length),
    commit: {
      id: after,
      ...optional('message', described?.message),
      ...optional('author', described?.author?.name),
    },
    urls: [repository.clone_url, repository.ssh_url, repository.html_url].filter(
      (url) => typeof url === 'string' && url !== '',
    ) as string[],
    repository: repository.full_name,
    ...optional('pusher', push.pusher?.name),
    ...optional('paths', paths),
  }
}

/** All paths that the push changed; undefined where the payload cannot tell (a forced push, a new branch, too many commits). */
function changedPaths({ commits, forced }: PushPayload): string[] | undefined {
  if (!commits || commits.length === 0 || commits.length >= mostCommits || forced === true) return undefined
  const paths = new Set<string>()
  for (const { added, modified, removed } of commits) {
    if (!added || !modified || !removed) return undefined
    for (const path of [...added, ...modified, ...removed]) paths.add(path)
  }
  return [...paths]
}

/** [E]: the body is JSON, or a form whose field `payload` is that JSON, as the webhook's content type says. */
function payloadOf(rawBody: Uint8Array, headers: WebhookHeaders): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(rawBody)
    const type = String(headers['content-type'] ?? '')
      .split(';', 1)[0]
      ?.trim()
      .toLowerCase()
    const json =
      type === 'application/x-www-form-urlencoded' ? new URLSearchParams(text).get('payload') : text
    return JSON.parse(json ?? '')
  } catch (error) {
    throw malformed('the body is not JSON in UTF-8', error)
  }
}

function optional<K extends string, V>(key: K, value: V | null | undefined): { [key in K]?: V } {
  return value === null || value === undefined ? {} : ({ [key]: value } as { [key in K]: V })
}

function malformed(what: string, cause?: unknown): RivetrError {
  return new RivetrError(
    'invalid_input',
    `not a webhook of GitHub: ${what}`,
    cause === undefined ? {} : { cause },
  )
}

import { createHmac, timingSafeEqual } from 'node:crypto'
import { RivetrError, type WebhookEvent, type WebhookHeaders, type WebhookProvider, z } from '@rivetr/sdk'

const push = z.object({
  ref: z.string().min(1),
  /** Zeros when the ref is gone. */
  after: z.string().regex(/^([0-9a-f]{40}|[0-9a-f]{64})$/),
  /** What a tag object stands for; absent for branches. */
  tagged: z.string().optional(),
  message: z.string().optional(),
  repository: z.object({ name: z.string().min(1), url: z.string().min(1) }),
})

export class ForgeWebhooks implements WebhookProvider {
  /** `Org/App` and `org/app` are two repositories. */
  readonly ignoresCase = false

  verify(rawBody: Uint8Array, headers: WebhookHeaders, secret: string): boolean {
    const signature = headers['x-forge-signature']
    if (typeof signature !== 'string' || secret.trim() === '') return false
    const expected = createHmac('sha256', secret).update(rawBody).digest()
    const given = /^[0-9a-f]{64}$/.test(signature) ? Buffer.from(signature, 'hex') : Buffer.alloc(0)
    return given.length === expected.length && timingSafeEqual(given, expected)
  }

  deliveryId(headers: WebhookHeaders): string | undefined {
    const id = headers['x-forge-delivery']
    return typeof id === 'string' && /^[\x21-\x7e]{1,200}$/.test(id) ? id : undefined
  }

  parse(rawBody: Uint8Array, headers: WebhookHeaders): WebhookEvent[] {
    const event = headers['x-forge-event']
    if (typeof event !== 'string') throw malformed('the field X-Forge-Event is missing')
    if (event === 'ping') return [{ kind: 'ping' }]
    if (event !== 'push') return [{ kind: 'ignored', reason: `event ${event} deploys nothing` }]
    const { ref, after, tagged, message, repository } = read(rawBody)
    const about = { ref, urls: [repository.url], repository: repository.name }
    const [, kind, name] = /^refs\/(heads|tags)\/(.+)$/.exec(ref) ?? []
    if (name === undefined) return [{ kind: 'ignored', reason: 'it is about no branch and no tag' }]
    if (/^0+$/.test(after)) return [{ kind: 'delete', ...about }]
    const commit = { id: tagged ?? after, message }
    return kind === 'heads'
      ? [{ kind: 'push', branch: name, commit, ...about }]
      : [{ kind: 'tag', tag: name, commit, ...about }]
  }
}

function read(rawBody: Uint8Array): z.output<typeof push> {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(rawBody))
  } catch {
    throw malformed('the body is no JSON')
  }
  const payload = push.safeParse(json)
  if (payload.success) return payload.data
  throw malformed(payload.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '))
}

function malformed(what: string): RivetrError {
  return new RivetrError('invalid_input', `this is no webhook of forge.test: ${what}`)
}

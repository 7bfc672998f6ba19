import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  type App,
  type Apps,
  type Clock,
  type Deployments,
  type Hooks,
  messageOf,
  type PushEvent,
  RivetrError,
  systemPrincipal,
  type WebhookEvent,
  type WebhookHeaders,
  type WebhookProvider,
} from '@rivetr/sdk'
import type { DeliveryLog, Told, Verdict } from './delivery-log.ts'
import { addressedOf, type Judgement, judge } from './matching.ts'
import { filtered } from './push-filter.ts'
import type { Rejections } from './rejections.ts'
import type { WebhookSecrets } from './webhook-secrets.ts'

export interface ReceiverParts {
  readonly apps: Apps
  readonly deployments: Deployments
  readonly hooks: Hooks
  readonly clock: Clock
  readonly secrets: WebhookSecrets
  readonly log: DeliveryLog
  readonly rejections: Rejections
  /** Git hosts give a webhook up after ten seconds; what is not decided by then is answered as `received`. */
  readonly answerWithinMs: number
}

export interface Received {
  readonly rawBody: Uint8Array
  readonly headers: WebhookHeaders
  readonly requestId: string
}

/** What a delivery did to one app. */
export interface Effect extends Omit<Verdict, 'filtered'> {
  /** The app's name. */
  readonly app: string
}

/** Where a push came from. */
interface Origin {
  readonly provider: string
  readonly delivery: string
  readonly requestId: string
}

/** So many bytes are signed in one go before others get their turn: anybody may send large bodies. */
const bytesInOneGo = 4 * 1024 * 1024

const self = systemPrincipal('webhooks')

/** Takes a delivery in: verify over the bytes, parse, find the apps that it is for, queue. */
export class Receiver {
  readonly #parts: ReceiverParts

  constructor(parts: ReceiverParts) {
    this.#parts = parts
  }

  async receive(name: string, provider: WebhookProvider, received: Received): Promise<Effect[]> {
    const apps = await this.#appsWhoseSecretFits(name, provider, received)
    const delivery = deliveryIdOf(name, provider, received)
    const events = await this.#parse(name, provider, received, { delivery, apps })
    const { requestId } = received
    return Promise.all(
      addressedOf(events, apps, provider.ignoresCase).map((app) => {
        const judgement = judge(app, events, provider.ignoresCase)
        return this.#inTime(app, this.#handle(app, judgement, { provider: name, delivery, requestId }))
      }),
    )
  }

  /** Fail-closed: an app without a secret is never among them. Every secret is tried, whatever the others gave. */
  async #appsWhoseSecretFits(
    name: string,
    provider: WebhookProvider,
    { rawBody, headers }: Received,
  ): Promise<App[]> {
    const secrets = await this.#parts.secrets.all()
    const verdicts = new Map<string, boolean>()
    let bytes = 0
    for (const secret of new Set(secrets.values())) {
      verdicts.set(secret, provider.verify(rawBody, headers, secret))
      bytes += rawBody.length
      if (bytes < bytesInOneGo) continue
      bytes = 0
      await nextTurn()
    }
    const ids = [...secrets].filter(([, secret]) => verdicts.get(secret) === true).map(([id]) => id)
    if (ids.length === 0) {
      const reason = secrets.size === 0 ? 'no app has a webhook secret' : 'the signature fits no app'
      this.#parts.rejections.add(name, reason)
      throw new RivetrError(
        'unauthenticated',
        "the signature fits no app; set the app's webhook secret and give the git host the same one",
      )
    }
    const apps = await Promise.all(ids.map((id) => this.#find(id)))
    return apps.filter((app) => app !== undefined)
  }

  async #find(id: string): Promise<App | undefined> {
    try {
      return await this.#parts.apps.get(self, id)
    } catch (error) {
      if (RivetrError.is(error, 'not_found')) return undefined // deleted since
      throw error
    }
  }

  async #parse(
    name: string,
    provider: WebhookProvider,
    { rawBody, headers }: Received,
    { delivery, apps }: { delivery: string; apps: readonly App[] },
  ): Promise<readonly WebhookEvent[]> {
    try {
      const events = provider.parse(rawBody, headers)
      if (events.length > 0) return events
      throw new RivetrError('invalid_input', `the provider ${name} found nothing in the delivery`)
    } catch (error) {
      for (const app of apps) {
        const claim = await this.#parts.log.claim(app.id, name, delivery)
        if ('id' in claim)
          await this.#parts.log.settle(claim.id, { outcome: 'failed', reason: messageOf(error) })
      }
      throw error
    }
  }

  async #handle(app: App, { about, does }: Judgement, origin: Origin): Promise<Effect> {
    const { log } = this.#parts
    const claim = await log.claim(app.id, origin.provider, origin.delivery, toldBy(about), 'push' in does)
    if ('repeat' in claim) return { app: app.name, outcome: 'repeated', reason: claim.repeat }
    const verdict = 'push' in does ? await this.#deploy(app, does.push, origin) : does.verdict
    await log.settle(claim.id, verdict)
    const { outcome, reason, deployment } = verdict
    return { app: app.name, outcome, reason, deployment }
  }

  async #deploy(app: App, event: PushEvent, { delivery, requestId }: Origin): Promise<Verdict> {
    const { hooks, deployments } = this.#parts
    const reason = filtered(app, event)
    if (reason !== undefined) return { outcome: 'skipped', reason, filtered: true }
    try {
      const skipped = await hooks.call('pushReceived', { event, app, delivery })
      if (skipped !== undefined) return { outcome: 'skipped', reason: skipped.reason }
    } catch (error) {
      return { outcome: 'refused', reason: messageOf(error) }
    }
    try {
      const { id: commit, message } = event.commit
      const deployment = await deployments.request(self, app.id, {
        kind: 'push',
        commit,
        message,
        reason: `push to ${event.branch}${event.pusher === undefined ? '' : ` by ${event.pusher}`}`,
        requestId,
      })
      return { outcome: 'queued', deployment: deployment.id }
    } catch (error) {
      return { outcome: 'failed', reason: messageOf(error) }
    }
  }

  async #inTime(app: App, work: Promise<Effect>): Promise<Effect> {
    let takeBack: () => void = () => undefined
    const late = new Promise<Effect>((resolve) => {
      const reason = `not decided yet: GET /api/apps/${app.name}/deliveries will tell`
      takeBack = this.#parts.clock.after(this.#parts.answerWithinMs, () =>
        resolve({ app: app.name, outcome: 'received', reason }),
      )
    })
    try {
      return await Promise.race([work, late])
    } finally {
      takeBack()
    }
  }
}

/** Asked for after the signature: who cannot sign is told nothing, and claims no id. */
function deliveryIdOf(name: string, provider: WebhookProvider, { headers }: Received): string {
  const id = provider.deliveryId(headers)
  if (id !== undefined) return id
  throw new RivetrError(
    'invalid_input',
    `the header with the id of the delivery is missing, repeated or odd; see the documentation of webhooks of ${name}`,
  )
}

/** A commit's first line may be as long as anybody likes. */
const titleCharacters = 200

function toldBy(event: WebhookEvent): Told {
  if (event.kind === 'ping') return { event: 'ping' }
  if (event.kind === 'ignored') return { event: 'other' }
  const { kind, repository, ref, pusher } = event
  const commit = event.kind === 'delete' ? undefined : event.commit
  const title = commit?.message?.split('\n', 1)[0]?.slice(0, titleCharacters)
  return { event: kind, repository, ref, pusher, commit: commit?.id, title }
}

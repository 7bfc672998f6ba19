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
import type { DeliveryLog, Verdict } from './delivery-log.ts'
import { addressedOf, judge } from './matching.ts'
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
export interface Effect extends Verdict {
  /** The app's name. */
  readonly app: string
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
    const event = await this.#parse(name, provider, received, apps)
    const addressed = addressedOf(event, apps)
    return Promise.all(
      addressed.map((app) => this.#inTime(app, this.#handle(app, name, event, received.requestId))),
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
      this.#parts.rejections.add(
        `${name}: ${secrets.size === 0 ? 'no app has a webhook secret' : 'the signature fits no app'}`,
      )
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
    apps: readonly App[],
  ): Promise<WebhookEvent> {
    try {
      return provider.parse(rawBody, headers)
    } catch (error) {
      const delivery = provider.deliveryId(headers)
      if (delivery !== undefined) {
        for (const app of apps) {
          const claim = await this.#parts.log.claim(app.id, name, delivery)
          if ('id' in claim)
            await this.#parts.log.settle(claim.id, { outcome: 'failed', reason: messageOf(error) })
        }
      }
      throw error
    }
  }

  async #handle(app: App, name: string, event: WebhookEvent, requestId: string): Promise<Effect> {
    const { log } = this.#parts
    const claim = await log.claim(app.id, name, event.delivery, event.kind === 'push' ? event : undefined)
    if ('repeat' in claim) return { app: app.name, outcome: 'repeated', reason: claim.repeat }
    const judged = judge(app, event)
    const verdict = 'push' in judged ? await this.#deploy(app, judged.push, requestId) : judged
    await log.settle(claim.id, verdict)
    return { app: app.name, ...verdict }
  }

  async #deploy(app: App, event: PushEvent, requestId: string): Promise<Verdict> {
    const { hooks, deployments } = this.#parts
    try {
      const skipped = await hooks.call('pushReceived', { event, app })
      if (skipped !== undefined) return { outcome: 'skipped', reason: skipped.reason }
    } catch (error) {
      return { outcome: 'refused', reason: messageOf(error) }
    }
    try {
      const { id: commit, message } = event.commit
      const reason = `push to ${event.branch}${event.pusher === undefined ? '' : ` by ${event.pusher}`}`
      const deployment = await deployments.request(self, app.id, {
        kind: 'push',
        commit,
        message,
        reason,
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

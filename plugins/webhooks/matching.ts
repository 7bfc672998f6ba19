import type { App, PushEvent, RefChange, WebhookEvent } from '@rivetr/sdk'
import type { Verdict } from './delivery-log.ts'
import { repositoryKey } from './repository-address.ts'

/** What a delivery is to one app. */
export interface Judgement {
  /** The event that concerns it most. */
  readonly about: WebhookEvent
  /** The push to deploy, before any plugin is asked; or why there is none. */
  readonly does: { readonly push: PushEvent } | { readonly verdict: Verdict }
}

/** Those in whose repository something happened. When that is nobody's, all are told so: their webhook stands in the wrong one. */
export function addressedOf(
  events: readonly WebhookEvent[],
  apps: readonly App[],
  ignoresCase: boolean,
): readonly App[] {
  const changes = events.filter(isChange)
  if (changes.length === 0) return apps
  const addressed = apps.filter((app) => changes.some((change) => isOf(app, change, ignoresCase)))
  return addressed.length > 0 ? addressed : apps
}

/** An app follows one branch, so of all that a delivery says at most one thing deploys it: the last, should it come twice. */
export function judge(app: App, events: readonly WebhookEvent[], ignoresCase: boolean): Judgement {
  const all = events.map((event) => ({ event, verdict: verdictOn(app, event, ignoresCase) }))
  const deploying = all.findLast(({ verdict }) => verdict === undefined)
  if (deploying !== undefined) return { about: deploying.event, does: { push: deploying.event as PushEvent } }
  const own = all.find(({ event }) => isChange(event) && isOf(app, event, ignoresCase))
  const { event: about, verdict } = own ?? (all[0] as (typeof all)[number])
  const reasons = [...new Set(all.map((each) => each.verdict?.reason))]
  const [first, more] = [reasons.slice(0, reasonsTold).join('; '), reasons.length - reasonsTold]
  const reason = more > 0 ? `${first}; and ${more} more` : first
  return { about, does: { verdict: { outcome: verdict?.outcome ?? 'ignored', reason } } }
}

/** A push may delete a hundred branches. */
const reasonsTold = 3

/** Undefined for a push that deploys the app. */
function verdictOn(app: App, event: WebhookEvent, ignoresCase: boolean): Verdict | undefined {
  if (event.kind === 'ping')
    return { outcome: 'ping', reason: 'the webhook works; the next push will deploy' }
  const reason = whyNot(app, event, ignoresCase)
  return reason === undefined ? undefined : { outcome: 'ignored', reason }
}

function whyNot(
  app: App,
  event: Exclude<WebhookEvent, { kind: 'ping' }>,
  ignoresCase: boolean,
): string | undefined {
  const { name, source, autoDeploy, state } = app
  if (event.kind === 'ignored') return event.reason
  if (!isOf(app, event, ignoresCase)) {
    return `the push was to ${event.repository}, which is not the source of ${name}; where it was renamed, change the source`
  }
  if (event.kind === 'delete') return `${event.ref} was deleted; what is live stays`
  if (event.kind === 'tag') return `${event.ref} is a tag; ${name} deploys the branch ${source.branch}`
  if (event.branch !== source.branch)
    return `the push was to ${event.branch}; ${name} deploys ${source.branch}`
  if (state === 'stopped') return `${name} is stopped: start it first`
  return autoDeploy ? undefined : `${name} does not deploy by itself: its autoDeploy is off`
}

function isChange(event: WebhookEvent): event is Exclude<WebhookEvent, { kind: 'ping' | 'ignored' }> {
  return event.kind !== 'ping' && event.kind !== 'ignored'
}

function isOf({ source }: App, { urls }: RefChange, ignoresCase: boolean): boolean {
  const own = source.kind === 'git' ? repositoryKey(source.url, ignoresCase) : undefined
  return own !== undefined && urls.some((url) => repositoryKey(url, ignoresCase) === own)
}

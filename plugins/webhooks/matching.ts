import type { App, PushEvent, WebhookEvent } from '@rivetr/sdk'
import type { Verdict } from './delivery-log.ts'
import { repositoryKey } from './repository-address.ts'
import { skipMark } from './skip-mark.ts'

/** Those whose repository was pushed to. When it is nobody's, all are told so: their webhook stands in the wrong repository. */
export function addressedOf(event: WebhookEvent, apps: readonly App[]): readonly App[] {
  if (event.kind !== 'push') return apps
  const matching = apps.filter((app) => isSourceOf(app, event))
  return matching.length > 0 ? matching : apps
}

function isSourceOf({ source }: App, event: PushEvent): boolean {
  const own = source.kind === 'git' ? repositoryKey(source.url) : undefined
  return own !== undefined && event.urls.some((url) => repositoryKey(url) === own)
}

/** The push to deploy; or why an event deploys nothing of this app, before any plugin is asked. */
export function judge(app: App, event: WebhookEvent): Verdict | { push: PushEvent } {
  if (event.kind === 'ping')
    return { outcome: 'ping', reason: 'the webhook works; the next push will deploy' }
  if (event.kind === 'ignored') return { outcome: 'ignored', reason: event.reason }
  if (!isSourceOf(app, event)) {
    return {
      outcome: 'ignored',
      reason: `the push was to ${event.repository}, which is not the source of ${app.name}`,
    }
  }
  if (event.branch !== app.source.branch) {
    return {
      outcome: 'ignored',
      reason: `the push was to ${event.branch}; ${app.name} deploys ${app.source.branch}`,
    }
  }
  const mark = skipMark(event.commit.message)
  return mark === undefined ? { push: event } : { outcome: 'skipped', reason: `the commit says ${mark}` }
}

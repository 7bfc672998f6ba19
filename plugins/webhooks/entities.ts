import { defineEntity, p } from '@rivetr/sdk'

/**
 * What became of a delivery for one app. `received`: not decided yet. `repeated`: the same commit had just been queued.
 * After `failed` and `refused` the git host may send the same delivery again; after any other it is a repeat.
 */
export const outcomes = [
  'received',
  'queued',
  'skipped',
  'ignored',
  'ping',
  'repeated',
  'refused',
  'failed',
] as const
export type Outcome = (typeof outcomes)[number]

/** What a delivery told of; `other`: of nothing that Rivetr acts upon. */
export const eventKinds = ['push', 'tag', 'delete', 'ping', 'other'] as const
export type EventKind = (typeof eventKinds)[number]

export const Delivery = defineEntity({
  name: 'WebhookDelivery',
  tableName: 'webhooks__deliveries',
  uniques: [{ properties: ['app', 'provider', 'delivery'] }],
  properties: {
    /** UUID v7: grows with time, so it is the cursor of lists. */
    id: p.string().primary(),
    app: p.string(),
    provider: p.string(),
    /** The id that the git host gave it. */
    delivery: p.string(),
    event: p.string().$type<EventKind>().nullable(),
    repository: p.text().nullable(),
    ref: p.text().nullable(),
    commit: p.string().nullable(),
    /** The first line of the commit's message. */
    title: p.text().nullable(),
    pusher: p.text().nullable(),
    outcome: p.string().$type<Outcome>().index(),
    reason: p.text().nullable(),
    deployment: p.string().nullable(),
    /** Kept out by the app's own settings or by a mark: it stays out when the heads of branches are compared. */
    filtered: p.boolean().default(false),
    /** How often it came again. */
    repeats: p.integer().default(0),
    /** ISO 8601 in UTC. */
    receivedAt: p.string(),
    lastRepeatAt: p.string().nullable(),
  },
})

import { randomBytes } from 'node:crypto'
import {
  type AnyRoute,
  type Apps,
  defineRoute,
  pageOf,
  pageQuery,
  providerName,
  Reply,
  RivetrError,
  type WebhookProvider,
  z,
} from '@rivetr/sdk'
import type { DeliveryLog } from './delivery-log.ts'
import { deliveryView } from './delivery-view.ts'
import { outcomes } from './entities.ts'
import type { Effect, Receiver } from './receiver.ts'
import { type Rejections, rejectionView } from './rejections.ts'
import type { WebhookSecrets } from './webhook-secrets.ts'

export interface RouteParts {
  readonly apps: Apps
  readonly secrets: WebhookSecrets
  readonly log: DeliveryLog
  readonly rejections: Rejections
  readonly receiver: Receiver
  providers(): ReadonlyMap<string, WebhookProvider>
  readonly bodyLimitBytes: number
}

const appParams = z.object({ id: z.string().max(100) })

const effect = z.object({
  app: z.string(),
  outcome: z.enum(outcomes),
  reason: z.string().optional(),
  deployment: z.string().optional(),
})

/** Long enough not to be guessed; no space at its ends, which git hosts cut away. */
const chosenSecret = z
  .string()
  .min(16)
  .max(255)
  .regex(/^[\x21-\x7e]+$/, 'printable ASCII without spaces')

export function intakeRoute({ receiver, providers, bodyLimitBytes }: RouteParts): AnyRoute {
  return defineRoute({
    method: 'POST',
    path: '/webhooks/:provider',
    summary: 'Take a delivery of a git host in; the signature is the access',
    access: 'public',
    params: z.object({ provider: providerName }),
    rawBody: { limitBytes: bodyLimitBytes },
    returns: z.object({ deliveries: z.array(effect) }),
    async handler({ params: { provider: name }, rawBody, headers, requestId }) {
      const provider = providers().get(name)
      if (provider === undefined)
        throw new RivetrError('not_found', `no webhooks of kind "${name}" are taken here`)
      const deliveries = await receiver.receive(name, provider, { rawBody, headers, requestId })
      return new Reply({ deliveries }, { status: statusOf(deliveries) })
    },
  })
}

/** A failure is one for the git host too, so that its page shows it and offers to send the delivery again. */
function statusOf(effects: readonly Effect[]): number {
  if (effects.some(({ outcome }) => outcome === 'failed')) return 503
  return effects.some(({ outcome }) => outcome === 'queued' || outcome === 'received') ? 202 : 200
}

const deliveryPage = pageOf(deliveryView).extend({ rejected: rejectionView })

export function deliveryRoutes({ apps, log, rejections }: RouteParts): AnyRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/deliveries',
      summary:
        'Webhook deliveries of all apps and what each did, newest first; what fitted no app is counted',
      access: 'system:read',
      query: pageQuery,
      returns: deliveryPage,
      handler: async ({ query }) => ({ ...(await log.list(undefined, query)), rejected: rejections.view }),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/apps/:id/deliveries',
      summary:
        'Webhook deliveries of an app and what each did, newest first; requests that fit no app are only counted',
      access: 'apps:read',
      params: appParams,
      query: pageQuery,
      returns: deliveryPage,
      async handler({ principal, params, query }) {
        const { id } = await apps.get(principal, params.id)
        return { ...(await log.list(id, query)), rejected: rejections.view }
      },
    }),
  ]
}

export function secretRoutes({ apps, secrets, providers }: RouteParts): AnyRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/apps/:id/webhook',
      summary: 'Whether an app has a webhook secret, and where git hosts deliver',
      access: 'apps:read',
      params: appParams,
      returns: z.object({ configured: z.boolean(), paths: z.record(z.string(), z.string()) }),
      async handler({ principal, params }) {
        const { id } = await apps.get(principal, params.id)
        const paths = Object.fromEntries([...providers().keys()].map((name) => [name, `/webhooks/${name}`]))
        return { configured: await secrets.has(id), paths }
      },
    }),
    defineRoute({
      method: 'PUT',
      path: '/api/apps/:id/webhook',
      summary: 'Set the webhook secret of an app, or make one; it is shown in this answer only',
      access: 'apps:write',
      params: appParams,
      body: z.strictObject({ secret: chosenSecret.optional() }).default({}),
      returns: z.object({ secret: z.string() }),
      async handler({ principal, params, body }) {
        const { id } = await apps.get(principal, params.id)
        const secret = body.secret ?? makeSecret()
        await secrets.set(id, secret)
        return { secret }
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/apps/:id/webhook',
      summary: 'Remove the webhook secret: no webhook deploys the app any more',
      access: 'apps:write',
      params: appParams,
      returns: z.undefined(),
      status: 204,
      async handler({ principal, params }) {
        const { id } = await apps.get(principal, params.id)
        await secrets.remove(id)
        return undefined
      },
    }),
  ]
}

/** In the form of Standard Webhooks, which the other hosts take as any text. */
function makeSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`
}

import {
  Apps,
  Clock,
  Database,
  Deployments,
  definePlugin,
  Hooks,
  Secrets,
  skip,
  WebhookProvider,
  z,
} from '@rivetr/sdk'
import { Delivery } from './entities.ts'
import { migrations } from './migrations.ts'

export default definePlugin({
  name: 'webhooks',
  config: z.strictObject({
    bodyLimitBytes: z
      .int()
      .min(1024)
      .default(25 * 1024 * 1024)
      .describe('The largest delivery that is taken; GitHub sends at most 25 MB'),
    deliveriesKept: z
      .int()
      .min(10)
      .max(100_000)
      .default(500)
      .describe('How many deliveries of an app are kept'),
    sameCommitSeconds: z
      .int()
      .min(0)
      .max(3_600)
      .default(60)
      .describe('A commit that was queued so short a time ago is not queued again by another delivery'),
  }),
  entities: [Delivery],
  migrations,
  async setup(ctx) {
    const [
      { DeliveryLog },
      { GithubWebhooks },
      { GitlabWebhooks },
      { GiteaWebhooks },
      { BitbucketWebhooks },
      { GenericWebhooks },
      { filtered },
      { Receiver },
      { Rejections },
      { WebhookSecrets },
      { deliveryRoutes, intakeRoute, secretRoutes },
    ] = await Promise.all([
      import('./delivery-log.ts'),
      import('./providers/github.ts'),
      import('./providers/gitlab.ts'),
      import('./providers/gitea.ts'),
      import('./providers/bitbucket.ts'),
      import('./providers/generic.ts'),
      import('./push-filter.ts'),
      import('./receiver.ts'),
      import('./rejections.ts'),
      import('./webhook-secrets.ts'),
      import('./routes.ts'),
    ])
    const { bodyLimitBytes, deliveriesKept, sameCommitSeconds } = ctx.config
    const apps = ctx.get(Apps)
    const clock = ctx.get(Clock)
    const secrets = new WebhookSecrets(apps, ctx.get(Secrets))
    const log = new DeliveryLog(ctx.get(Database), clock, {
      kept: deliveriesKept,
      sameCommitMs: sameCommitSeconds * 1_000,
    })
    const rejections = new Rejections(clock)
    const receiver = new Receiver({
      apps,
      deployments: ctx.get(Deployments),
      hooks: ctx.get(Hooks),
      clock,
      secrets,
      log,
      rejections,
      answerWithinMs: 8_000,
    })

    ctx.provide(WebhookProvider, 'github', () => new GithubWebhooks())
    ctx.provide(WebhookProvider, 'gitlab', () => new GitlabWebhooks(clock))
    ctx.provide(WebhookProvider, 'gitea', () => new GiteaWebhooks())
    ctx.provide(WebhookProvider, 'bitbucket', () => new BitbucketWebhooks())
    ctx.provide(WebhookProvider, 'generic', () => new GenericWebhooks(clock))
    // Of a push that was found by comparing heads nobody says what it changed; what came by webhook is known.
    ctx.tap('pushReceived', async ({ app, event, delivery }) => {
      if (delivery !== undefined) return undefined
      const reason = filtered(app, event) ?? (await log.whyKeptOut(app.id, event.commit.id))
      return reason === undefined ? undefined : skip(reason)
    })
    ctx.tap('appDeleted', async ({ app }) => {
      secrets.forget()
      await log.forget(app.id)
    })
    const parts = {
      apps,
      secrets,
      log,
      rejections,
      receiver,
      bodyLimitBytes,
      providers: () => ctx.all(WebhookProvider),
    }
    for (const route of [intakeRoute(parts), ...deliveryRoutes(parts), ...secretRoutes(parts)])
      ctx.route(route)
    await log.failInterrupted()
  },
})

import { Apps, Clock, Config, Database, Deployments, definePlugin, Secrets, z } from '@rivetr/sdk'
import { Outgoing } from '@rivetr/sdk/kit'
import { Status } from './entities.ts'
import { migrations } from './migrations.ts'

/** A killed Rivetr loses notices; beside its start this is when they are made up for. */
const catchUpMs = 10 * 60_000

export default definePlugin({
  name: 'commit-status',
  config: z.strictObject({
    dashboardUrl: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe('Where people reach the dashboard: statuses link to their deployment below it'),
  }),
  entities: [Status],
  migrations,
  async setup(ctx) {
    const [{ Connections }, { Outbox }, { Sender }, { Tracker }, { commitStatusRoutes }] = await Promise.all([
      import('./connection.ts'),
      import('./outbox.ts'),
      import('./sender.ts'),
      import('./tracker.ts'),
      import('./routes.ts'),
    ])
    const { log, signal } = ctx
    const apps = ctx.get(Apps)
    const clock = ctx.get(Clock)
    const connections = new Connections(ctx.get(Secrets), clock)
    const outbox = new Outbox(ctx.get(Database), clock)
    const tracker = new Tracker(apps, ctx.get(Deployments), connections, outbox)
    const base = ctx.config.dashboardUrl?.replace(/\/+$/, '')
    const deploymentUrl = (id: string) => (base === undefined ? undefined : `${base}/deployments/${id}`)
    const outgoing = new Outgoing(ctx.get(Config).outgoingAllow)
    const sender = new Sender({ apps, clock, connections, outbox, log, signal, deploymentUrl, outgoing })
    ctx.onStop(() => sender.stop())

    ctx.tap('deployStateChanged', async ({ deployment }) => {
      await tracker.changed(deployment)
      sender.wake()
      return undefined
    })
    ctx.tap('appDeleted', async ({ app }) => {
      await outbox.forget(app.id)
      return undefined
    })
    for (const route of commitStatusRoutes({ apps, connections, outbox, sender })) ctx.route(route)
    const catchUp = async () => {
      await tracker.catchUp(signal)
      sender.wake()
    }
    ctx.tap('kernelReady', async () => {
      await catchUp()
      return undefined
    })
    ctx.every(catchUpMs, catchUp)
  },
})

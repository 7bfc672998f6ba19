import { Database, definePlugin, defineRoute, z } from '@rivetr/sdk'
import { Count, migrations } from './count.ts'

export default definePlugin({
  name: 'my-plugin',
  entities: [Count],
  migrations,
  setup(ctx) {
    const database = ctx.get(Database)

    ctx.tap('postDeploy', ({ app }) =>
      database.transaction(async (rows) => {
        const count = await rows.findOne(Count, { app: app.name })
        await rows.upsert(Count, { app: app.name, deployments: (count?.deployments ?? 0) + 1 })
        return undefined
      }),
    )

    ctx.route(
      defineRoute({
        method: 'GET',
        path: '/api/x/my-plugin/counts',
        summary: 'How often each app went live',
        access: 'apps:read',
        returns: z.object({ items: z.array(z.object({ app: z.string(), deployments: z.int() })) }),
        handler: async () => ({
          items: await database.rows.find(Count, {}, { orderBy: { app: 'asc' }, limit: 1_000 }),
        }),
      }),
    )

    ctx.page({ id: 'counts', title: 'Deployments', data: '/api/x/my-plugin/counts', view: 'table' })
  },
})

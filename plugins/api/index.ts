import {
  Apps,
  Clock,
  Config,
  Deployments,
  definePlugin,
  Lifecycle,
  Logs,
  Plugins,
  Releases,
  Routes,
} from '@rivetr/sdk'

export default definePlugin({
  name: 'api',
  async setup(ctx) {
    const [{ appRoutes }, { deploymentRoutes }, { logRoutes }, { systemRoutes }, { SystemStats }] =
      await Promise.all([
        import('./app-routes.ts'),
        import('./deployment-routes.ts'),
        import('./log-routes.ts'),
        import('./system-routes.ts'),
        import('./system-stats.ts'),
      ])
    const config = ctx.get(Config)
    const system = {
      config,
      plugins: ctx.get(Plugins),
      lifecycle: ctx.get(Lifecycle),
      stats: new SystemStats(config, ctx.get(Clock)),
    }
    for (const route of [
      ...appRoutes(ctx.get(Apps), ctx.get(Routes)),
      ...deploymentRoutes(ctx.get(Deployments), ctx.get(Releases)),
      ...logRoutes(ctx.get(Logs)),
      ...systemRoutes(system),
    ]) {
      ctx.route(route)
    }
  },
})

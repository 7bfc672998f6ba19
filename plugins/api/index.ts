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
  Replicas,
  Routes,
  Traffic,
} from '@rivetr/sdk'

export default definePlugin({
  name: 'api',
  async setup(ctx) {
    const [
      { appRoutes },
      { routeRoutes },
      { deploymentRoutes },
      { logRoutes },
      { replicaRoutes },
      { systemRoutes },
      { pluginRoutes },
      { SystemStats },
      { edgeTapsOf },
    ] = await Promise.all([
      import('./app-routes.ts'),
      import('./route-routes.ts'),
      import('./deployment-routes.ts'),
      import('./log-routes.ts'),
      import('./replica-routes.ts'),
      import('./system-routes.ts'),
      import('./plugin-routes.ts'),
      import('./system-stats.ts'),
      import('./edge-taps.ts'),
    ])
    const config = ctx.get(Config)
    const system = {
      config,
      plugins: ctx.get(Plugins),
      lifecycle: ctx.get(Lifecycle),
      stats: new SystemStats(config, ctx.get(Clock)),
      edgeTaps: () => edgeTapsOf(ctx.find(Traffic), ctx.get(Clock)),
    }
    for (const route of [
      ...appRoutes(ctx.get(Apps)),
      ...routeRoutes(ctx.get(Routes)),
      ...deploymentRoutes(ctx.get(Deployments), ctx.get(Releases)),
      ...logRoutes(ctx.get(Logs)),
      ...replicaRoutes(ctx.get(Replicas), ctx.get(Clock)),
      ...systemRoutes(system),
      ...pluginRoutes(system),
    ]) {
      ctx.route(route)
    }
  },
})

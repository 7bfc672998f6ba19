import {
  Certificates,
  ChallengeSolver,
  Clock,
  Database,
  definePlugin,
  Hooks,
  Routes,
  Secrets,
} from '@rivetr/sdk'
import { acmeConfig } from './config.ts'
import { CaPause, Host, Own } from './entities.ts'
import { migrations } from './migrations.ts'

export default definePlugin({
  name: 'acme',
  config: acmeConfig,
  entities: [CaPause, Host, Own],
  migrations,
  async setup(ctx) {
    const { openCertificates } = await import('./certificates.ts')
    const { config, log, signal } = ctx
    const { keeper, solvers, routes } = await openCertificates({
      config,
      log,
      signal,
      clock: ctx.get(Clock),
      database: ctx.get(Database),
      hooks: ctx.get(Hooks),
      routes: ctx.get(Routes),
      secrets: ctx.get(Secrets),
      solvers: () => ctx.all(ChallengeSolver),
    })
    ctx.onStop(() => keeper.stop())
    ctx.provide(Certificates, () => keeper)
    for (const [name, solver] of Object.entries(solvers)) ctx.provide(ChallengeSolver, name, () => solver)
    for (const route of routes) ctx.route(route)
  },
})

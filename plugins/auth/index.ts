import { join } from 'node:path'
import { Clock, Contributions, Database, definePlugin } from '@rivetr/sdk'
import { entities } from './entities.ts'
import { migrations } from './migrations.ts'

const hourMs = 60 * 60_000

export default definePlugin({
  name: 'auth',
  entities,
  migrations,
  async setup(ctx) {
    const [{ AttemptLimit }, { Users }, { Sessions }, { Keys }, { SetupCode }, { Authenticator }, routes] =
      await Promise.all([
        import('./attempt-limit.ts'),
        import('./users.ts'),
        import('./sessions.ts'),
        import('./keys.ts'),
        import('./setup-code.ts'),
        import('./authenticator.ts'),
        import('./routes.ts'),
      ])
    const clock = ctx.get(Clock)
    const database = ctx.get(Database)
    const limit = new AttemptLimit(clock)
    const users = new Users(database, clock, limit)
    const sessions = new Sessions(database, clock, users)
    const keys = new Keys(database, clock, ctx.get(Contributions))
    const code = new SetupCode(join(ctx.dataDir, 'setup-code'))

    const authenticator = new Authenticator(sessions, keys)
    ctx.tap('authenticate', (payload) => authenticator.authenticate(payload))
    ctx.tap('authorize', (payload) => authenticator.authorize(payload))
    for (const route of routes.setupRoutes(users, code, limit)) ctx.route(route)
    for (const route of routes.sessionRoutes(users, sessions)) ctx.route(route)
    for (const route of routes.keyRoutes(keys)) ctx.route(route)
    ctx.every(hourMs, () => sessions.removeExpired())

    if (await users.exist()) return
    const fresh = await code.ensure()
    ctx.log.info(
      fresh === undefined
        ? `no owner yet: POST /api/setup with { code, email, password }; the code stands in ${code.file}`
        : `first start: make the owner by POST /api/setup with { code, email, password }; the code is ${fresh} (also in ${code.file})`,
    )
  },
})

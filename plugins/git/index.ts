import { Apps, Clock, Config, Database, definePlugin, RivetrError, Secrets, Source, z } from '@rivetr/sdk'
import { Outgoing } from '@rivetr/sdk/kit'
import { DeployKey, KnownHost } from './entities.ts'
import { migrations } from './migrations.ts'

export default definePlugin({
  name: 'git',
  config: z.strictObject({
    engine: z
      .enum(['auto', 'system', 'builtin'])
      .default('auto')
      .describe(
        'Which git does the work: the program of the machine, or one of our own that needs none; auto takes the program where it is',
      ),
    caFile: z
      .string()
      .optional()
      .describe('PEM file of authorities that are trusted for https, beside the usual ones'),
    allowFile: z
      .boolean()
      .default(false)
      .describe('Take file:// addresses too: every app may then read every repository of this machine'),
    slowestBytesPerSecond: z
      .int()
      .min(1)
      .default(1_000)
      .describe('A transfer slower than this for slowForSeconds is given up'),
    slowForSeconds: z
      .int()
      .min(1)
      .max(3_600)
      .default(30)
      .describe('How long a transfer may be slower than slowestBytesPerSecond'),
  }),
  entities: [DeployKey, KnownHost],
  migrations,
  async setup(ctx) {
    const [
      { parseAddress },
      { chooseEngine, readAuthorities },
      { DeployKeys },
      { KnownHosts },
      { deployKeyRoutes, knownHostRoutes },
      { Lfs },
      { GitSource },
    ] = await Promise.all([
      import('./address.ts'),
      import('./choose-engine.ts'),
      import('./deploy-keys.ts'),
      import('./known-hosts.ts'),
      import('./routes.ts'),
      import('./lfs.ts'),
      import('./source.ts'),
    ])
    const database = ctx.get(Database)
    const clock = ctx.get(Clock)
    const deployKeys = new DeployKeys(ctx.get(Apps), database, ctx.get(Secrets), clock)
    const { outgoingAllow } = ctx.get(Config)
    const outgoing = new Outgoing(outgoingAllow)
    const knownHosts = new KnownHosts(database, clock, outgoing)
    const { allowFile, engine, ...settings } = ctx.config
    const choose = chooseEngine(engine, { ...settings, outgoingAllow, home: ctx.dataDir })

    const lfs = async () => {
      const ca = settings.caFile === undefined ? undefined : await readAuthorities(settings.caFile)
      return new Lfs({ ...settings, outgoing, ca })
    }

    ctx.provide(
      Source,
      'git',
      () => new GitSource({ engine: choose, allowFile, deployKeys, knownHosts, lfs }),
    )
    ctx.tap('appValidate', async ({ draft: { source }, before, issue }) => {
      // An app from before a rule is not kept from being changed by it.
      if (
        source.kind !== 'git' ||
        (before?.source.url === source.url && before.source.deployKey === source.deployKey)
      )
        return
      try {
        const { ssh } = parseAddress(source.url, allowFile)
        if (source.deployKey === undefined) return
        if (ssh === undefined) issue('source.deployKey', 'a deploy key is for addresses of ssh')
        else if (!(await deployKeys.has(source.deployKey)))
          issue('source.deployKey', `there is no deploy key "${source.deployKey}"`)
      } catch (error) {
        if (!RivetrError.is(error, 'source_failed')) throw error
        issue('source.url', error.message)
      }
    })
    for (const route of [...deployKeyRoutes(deployKeys), ...knownHostRoutes(knownHosts)]) ctx.route(route)
  },
})

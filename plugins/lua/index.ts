import { join } from 'node:path'
import { Apps, Clock, Config, Database, definePlugin, Releases, Secrets, z } from '@rivetr/sdk'
import { Outgoing } from '@rivetr/sdk/kit'
import { CommitScriptsRow, RepositoryRow, ScriptRow, ValueRow } from './entities.ts'
import { migrations } from './migrations.ts'

/** How often it is looked whether files of scripts have changed. */
const lookMs = 2_000

/** All addresses: what the owner of the machine asks for is reached wherever it is. */
const everywhere = ['0.0.0.0/0', '::/0']

export default definePlugin({
  name: 'lua',
  config: z.strictObject({
    computeMs: z
      .int()
      .min(10)
      .max(60_000)
      .default(1_000)
      .describe('How long a run may compute; waiting does not count'),
    totalMs: z.int().min(10).max(600_000).default(25_000).describe('How long a run may take with everything'),
    instructions: z.int().min(1_000).default(20_000_000).describe('How many instructions a run may execute'),
    stringBytes: z
      .int()
      .min(1024 * 1024)
      .default(64 * 1024 ** 2)
      .describe('How many bytes of strings a run may make, in all'),
    heapMib: z.int().min(16).max(1_024).default(64).describe('The memory of a thread in which scripts run'),
    outputBytes: z
      .int()
      .min(0)
      .default(64 * 1024)
      .describe('How much a run may print'),
    httpCalls: z.int().min(0).default(20).describe('How many HTTP requests a run may make'),
    threads: z.int().min(1).max(16).default(2).describe('How many scripts run at once'),
  }),
  entities: [ScriptRow, ValueRow, RepositoryRow, CommitScriptsRow],
  migrations,
  async setup(ctx) {
    const [{ KeyValues }, { RepositoryScripts }, { luaRoutes }, { Runner }, { ScriptBook }, { Taps }] =
      await Promise.all([
        import('./key-values.ts'),
        import('./repository-scripts.ts'),
        import('./routes.ts'),
        import('./runner.ts'),
        import('./script-book.ts'),
        import('./taps.ts'),
      ])
    const { log, signal } = ctx
    const { heapMib, httpCalls, ...limits } = ctx.config
    const apps = ctx.get(Apps)
    const clock = ctx.get(Clock)
    const database = ctx.get(Database)
    const secrets = ctx.get(Secrets)
    const runner = new Runner({ ...limits, heapMiB: heapMib }, log)
    ctx.onStop(() => runner.stop())
    const values = new KeyValues(database)
    const folder = join(ctx.dataDir, 'scripts')
    const book = new ScriptBook({ database, clock, runner, folder, signal })
    const repository = new RepositoryScripts({ database, clock, releases: ctx.get(Releases), book })
    const outgoing = { app: new Outgoing(ctx.get(Config).outgoingAllow), machine: new Outgoing(everywhere) }
    const host = { apps, clock, secrets, values, outgoing, httpCalls }
    const taps = new Taps({ tap: ctx.tap.bind(ctx), runner, host, log, signal, book, repository })
    const look = async () => {
      if (!(await book.readFiles())) return
      for (const { name, fault } of book.listFiles())
        if (fault !== undefined) log.error('a script does not run', { script: name, fault })
      taps.update()
    }
    await Promise.all([book.load(), repository.load()])
    await look()
    taps.update()
    ctx.every(lookMs, look)
    // Not among the taps of scripts: those may be muted.
    ctx.tap('postDeploy', ({ app, commit, release }) =>
      repository.goLive(app.id, (commit ?? release?.commit)?.id).then(() => undefined),
    )
    ctx.tap('appDeleted', async ({ app }) => {
      await Promise.all([book.forget(app.id), values.forget(app.id), repository.refuse(app.id)])
      return undefined
    })
    for (const route of luaRoutes({
      apps,
      book,
      repository,
      runner,
      secrets,
      values,
      changed: () => taps.update(),
    }))
      ctx.route(route)
  },
})

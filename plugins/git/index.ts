import { definePlugin, Source, z } from '@rivetr/sdk'

export default definePlugin({
  name: 'git',
  config: z.strictObject({
    engine: z
      .enum(['auto', 'system'])
      .default('auto')
      .describe('Which git does the work; auto takes the git program of the machine'),
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
  async setup(ctx) {
    const { GitSource } = await import('./source.ts')
    ctx.provide(Source, 'git', () => new GitSource({ ...ctx.config, home: ctx.dataDir }))
  },
})

import { Apps, Deployments, definePlugin, RivetrError, Source, z } from '@rivetr/sdk'

export default definePlugin({
  name: 'upload',
  config: z.strictObject({
    limitBytes: z
      .int()
      .min(1024)
      .default(2 * 1024 ** 3)
      .describe('The largest archive that is taken'),
    unpackedLimitBytes: z
      .int()
      .min(1024)
      .default(8 * 1024 ** 3)
      .describe('The most that the files of an archive may take'),
    kept: z.int().min(1).max(1_000).default(5).describe('How many archives of a name are kept'),
  }),
  async setup(ctx) {
    const [{ Archives, parseName }, { uploadRoute }, { UploadSource }] = await Promise.all([
      import('./archives.ts'),
      import('./routes.ts'),
      import('./source.ts'),
    ])
    const { limitBytes, unpackedLimitBytes, kept } = ctx.config
    const archives = new Archives({ folder: ctx.dataDir, limitBytes, kept })
    await archives.removeUnfinished()

    ctx.provide(Source, 'upload', () => new UploadSource(archives, unpackedLimitBytes))
    ctx.tap('appValidate', async ({ draft: { source }, issue }) => {
      if (source.kind !== 'upload') return
      try {
        parseName(source.url)
      } catch (error) {
        if (!RivetrError.is(error, 'source_failed')) throw error
        issue('source.url', error.message)
      }
    })
    ctx.route(uploadRoute({ apps: ctx.get(Apps), deployments: ctx.get(Deployments), archives, limitBytes }))
  },
})

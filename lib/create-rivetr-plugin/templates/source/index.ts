import { definePlugin, Source, z } from '@rivetr/sdk'
import { FolderSource } from './folder-source.ts'

const config = z.strictObject({
  root: z.string().startsWith('/').describe('The folder below which sources lie'),
})

export default definePlugin({
  name: 'my-plugin',
  config,
  setup(ctx) {
    ctx.provide(Source, 'my-plugin', () => new FolderSource(ctx.config.root))
  },
})

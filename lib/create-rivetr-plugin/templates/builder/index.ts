import { Builder, definePlugin } from '@rivetr/sdk'
import { StaticBuilder } from './static-builder.ts'

export default definePlugin({
  name: 'my-plugin',
  setup(ctx) {
    ctx.provide(Builder, 'my-plugin', () => new StaticBuilder())
  },
})

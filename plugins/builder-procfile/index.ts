import { Builder, definePlugin, Runtime } from '@rivetr/sdk'
import { ProcfileBuilder } from './builder.ts'

export default definePlugin({
  name: 'builder-procfile',
  setup(ctx) {
    ctx.provide(Builder, 'procfile', () => new ProcfileBuilder((runtime) => ctx.get(Runtime, runtime)))
  },
})

import { Builder, definePlugin, Images, z } from '@rivetr/sdk'
import { DockerfileBuilder } from './builder.ts'

export default definePlugin({
  name: 'builder-dockerfile',
  config: z.strictObject({
    memoryBytes: z
      .int()
      .min(64 * 1024 * 1024)
      .optional()
      .describe(
        'A step of a build that takes more memory is ended; without it a build may take all there is',
      ),
    cpus: z.number().min(0.1).optional().describe('Cores that a build may use; 0.5 is half of one'),
  }),
  setup(ctx) {
    const { memoryBytes, cpus } = ctx.config
    const limits = {
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
      ...(cpus === undefined ? {} : { cpus }),
    }
    ctx.provide(
      Builder,
      'dockerfile',
      () => new DockerfileBuilder((runtime) => ctx.find(Images, runtime), limits),
    )
  },
})

import {
  Builder,
  Clock,
  Config,
  Database,
  definePlugin,
  Images,
  RivetrError,
  Secrets,
  Source,
  z,
} from '@rivetr/sdk'
import { Outgoing } from '@rivetr/sdk/kit'
import { RegistryLogin } from './entities.ts'
import { migrations } from './migrations.ts'

export default definePlugin({
  name: 'image',
  config: z.strictObject({
    insecure: z
      .array(z.string().min(1))
      .default([])
      .describe(
        'Registries, as host or host:port, that are asked over http; the engine has a setting of its own for it',
      ),
    caFile: z
      .string()
      .optional()
      .describe('PEM file of authorities that are trusted for registries, beside the usual ones'),
  }),
  entities: [RegistryLogin],
  migrations,
  async setup(ctx) {
    const [
      { ImageBuilder },
      { parseReference },
      { Registries },
      { Registry },
      { registryRoutes },
      { ImageSource },
    ] = await Promise.all([
      import('./builder.ts'),
      import('./reference.ts'),
      import('./registries.ts'),
      import('./registry.ts'),
      import('./routes.ts'),
      import('./source.ts'),
    ])
    const registries = new Registries(ctx.get(Database), ctx.get(Secrets), ctx.get(Clock))
    const registry = new Registry(new Outgoing(ctx.get(Config).outgoingAllow), ctx.config)

    ctx.provide(Source, 'image', () => new ImageSource(registry, registries))
    ctx.provide(Builder, 'image', () => new ImageBuilder((runtime) => ctx.find(Images, runtime), registries))
    ctx.tap('appValidate', async ({ draft: { source, builder }, issue }) => {
      // What the builder pulls is what the source has written: no file of a repository may stand in for it.
      if (builder?.kind !== undefined && (builder.kind === 'image') !== (source.kind === 'image'))
        issue('builder.kind', 'the builder image goes with the source image alone, and that with no other')
      if (source.kind !== 'image') return
      for (const field of ['deployKey', 'directory'] as const)
        if (source[field] !== undefined) issue(`source.${field}`, 'an image has none')
      try {
        parseReference(source.url)
      } catch (error) {
        if (!RivetrError.is(error, 'source_failed')) throw error
        issue('source.url', error.message)
      }
    })
    for (const route of registryRoutes(registries)) ctx.route(route)
  },
})

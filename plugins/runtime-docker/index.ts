import { Config, definePlugin, Images, Runtime } from '@rivetr/sdk'
import { dockerSettings } from './settings.ts'

export default definePlugin({
  name: 'runtime-docker',
  config: dockerSettings,
  async setup(ctx) {
    const { Engine, EngineImages, engineAddress } = await import('@rivetr/engine-api')
    const { DockerRuntime } = await import('./runtime.ts')
    const { instance } = ctx.get(Config)
    const engine = new Engine('Docker', engineAddress(ctx.config.socket))
    ctx.provide(Runtime, 'docker', () => new DockerRuntime(engine, instance, ctx.config))
    ctx.provide(Images, 'docker', () => new EngineImages(engine, instance))
  },
})

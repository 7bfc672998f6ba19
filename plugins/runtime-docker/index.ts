import { Config, definePlugin, Images, Runtime } from '@rivetr/sdk'
import { dockerSettings } from './settings.ts'

export default definePlugin({
  name: 'runtime-docker',
  config: dockerSettings,
  async setup(ctx) {
    const { docker, Engine, EngineImages, EngineRuntime, engineAddress } = await import('@rivetr/engine-api')
    const { instance } = ctx.get(Config)
    const engine = new Engine('Docker', engineAddress(ctx.config.socket))
    ctx.provide(Runtime, 'docker', () => new EngineRuntime(engine, instance, ctx.config, docker))
    ctx.provide(Images, 'docker', () => new EngineImages(engine, instance, docker))
  },
})

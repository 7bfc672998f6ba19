import { Config, definePlugin, Images, Runtime } from '@rivetr/sdk'
import { podmanSettings } from './settings.ts'

export default definePlugin({
  name: 'runtime-podman',
  config: podmanSettings,
  async setup(ctx) {
    const { Engine, EngineImages, EngineRuntime, podman } = await import('@rivetr/engine-api')
    const { PodmanService } = await import('./service.ts')
    const { instance } = ctx.get(Config)
    const service = new PodmanService(ctx.config, ctx.dataDir, ctx.log)
    ctx.onStop(() => service.stop())
    const engine = new Engine('Podman', service.address, () => service.ensure())
    ctx.provide(Runtime, 'podman', () => new EngineRuntime(engine, instance, ctx.config, podman))
    ctx.provide(Images, 'podman', () => new EngineImages(engine, instance, podman))
  },
})

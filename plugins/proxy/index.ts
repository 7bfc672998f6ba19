import { Contributions, definePlugin, Traffic } from '@rivetr/sdk'
import { launcherSettings, proxyConfig } from './config.ts'

export default definePlugin({
  name: 'proxy',
  config: proxyConfig,
  async setup(ctx) {
    const { EdgeTraffic } = await import('./control/traffic.ts')
    const settings = launcherSettings(ctx.config, ctx.dataDir)
    const traffic = new EdgeTraffic(settings, ctx.log, ctx.get(Contributions))
    await traffic.start()
    ctx.onStop(() => traffic.disconnect())
    // Launcher and edges outlive the kernel, unless everything is to end.
    ctx.tap('kernelStop', async ({ reason }) => {
      if (reason === 'stop-all') await traffic.stopAll()
    })
    ctx.provide(Traffic, () => traffic)
  },
})

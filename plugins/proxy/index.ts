import { definePlugin, Traffic } from '@rivetr/sdk'
import { launcherSettings, proxyConfig } from './config.ts'

export default definePlugin({
  name: 'proxy',
  config: proxyConfig,
  async setup(ctx) {
    const { EdgeTraffic } = await import('./control/traffic.ts')
    const traffic = new EdgeTraffic(launcherSettings(ctx.config, ctx.dataDir), ctx.log)
    await traffic.start()
    ctx.onStop(() => traffic.disconnect())
    // Launcher and edges outlive the kernel, unless everything is to end.
    ctx.tap('kernelStop', async ({ reason }) => {
      if (reason === 'stop-all') await traffic.stopAll()
    })
    ctx.provide(Traffic, () => traffic)
  },
})

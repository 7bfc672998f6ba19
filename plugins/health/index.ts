import { definePlugin, HealthProbe, Runtime } from '@rivetr/sdk'

export default definePlugin({
  name: 'health',
  async setup(ctx) {
    const [{ HttpProbe }, { TcpProbe }, { CommandProbe }] = await Promise.all([
      import('./http-probe.ts'),
      import('./tcp-probe.ts'),
      import('./command-probe.ts'),
    ])
    ctx.provide(HealthProbe, 'http', () => new HttpProbe())
    ctx.provide(HealthProbe, 'tcp', () => new TcpProbe())
    ctx.provide(HealthProbe, 'command', () => new CommandProbe((name) => ctx.find(Runtime, name)))
  },
})

import { ChallengeSolver, Config, definePlugin, z } from '@rivetr/sdk'
import { Outgoing } from '@rivetr/sdk/kit'
import { DnsHost } from './dns-host.ts'

const config = z.strictObject({
  api: z.url({ protocol: /^https?$/ }).describe('The address of the API of your DNS host'),
  tokenFile: z.string().startsWith('/').describe('A file with the token for it'),
})

export default definePlugin({
  name: 'my-plugin',
  config,
  setup(ctx) {
    const outgoing = new Outgoing(ctx.get(Config).outgoingAllow)
    ctx.provide(ChallengeSolver, 'my-plugin', () => new DnsHost({ ...ctx.config, outgoing }))
  },
})

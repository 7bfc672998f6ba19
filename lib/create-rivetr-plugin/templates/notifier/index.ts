import { Config, definePlugin, Notifier, z } from '@rivetr/sdk'
import { Outgoing } from '@rivetr/sdk/kit'
import { Chat } from './chat.ts'

const config = z.strictObject({
  url: z.url({ protocol: /^https?$/ }).describe('Where messages are posted to'),
})

export default definePlugin({
  name: 'my-plugin',
  config,
  setup(ctx) {
    // Dials public addresses, and those that the owner of the machine allows.
    const outgoing = new Outgoing(ctx.get(Config).outgoingAllow)
    ctx.provide(Notifier, 'my-plugin', () => new Chat(ctx.config.url, outgoing))
  },
})

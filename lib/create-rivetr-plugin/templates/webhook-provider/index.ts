import { definePlugin, WebhookProvider } from '@rivetr/sdk'
import { ForgeWebhooks } from './forge.ts'

export default definePlugin({
  name: 'my-plugin',
  setup(ctx) {
    ctx.provide(WebhookProvider, 'my-plugin', () => new ForgeWebhooks())
  },
})

import { definePlugin, z } from '@rivetr/sdk'

/** The section [doorman] of rivetr.toml. */
const config = z.strictObject({
  closedPaths: z
    .array(z.string())
    .default(['/wp-login.php', '/.env'])
    .describe('Paths that no app is asked for; edges answer 404'),
})

/** All that it does is done by its taps in the edges. */
export default definePlugin({
  name: 'doorman',
  config,
  edgeConfig: ({ closedPaths }) => ({ closedPaths }),
  setup() {},
})

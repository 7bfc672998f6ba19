import { definePlugin, RivetrError, z } from '@rivetr/sdk'

const config = z.strictObject({
  refused: z
    .array(z.string().min(1))
    .default(['WIP', 'fixup!'])
    .describe('A commit whose message begins with one of these is not deployed'),
})

export default definePlugin({
  name: 'my-plugin',
  config,
  setup(ctx) {
    // A gate: what it throws is the reason for which the deployment fails. Before anything is built.
    ctx.tap('preBuild', ({ commit, log }) => {
      const start = ctx.config.refused.find((each) => commit?.message?.startsWith(each))
      if (start !== undefined)
        throw new RivetrError(
          'refused',
          `the message of the commit begins with "${start}"; deploy another one`,
        )
      log('the commit is no work in progress')
    })

    // A notice: it cannot refuse any more.
    ctx.tap('postDeploy', ({ app }) => {
      ctx.log.info('an app is live', { app: app.name })
    })
  },
})

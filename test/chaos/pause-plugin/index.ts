import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { definePlugin, wait, z } from '@rivetr/sdk'

const pollMs = 20

/**
 * Stops deployments while a file `<folder>/<hook>` is there, those of one app while `<folder>/<hook>@<app>` is, or makes them
 * wait while `<folder>/<hook>.wait` is.
 */
export default definePlugin({
  name: 'pause',
  config: z.strictObject({ folder: z.string().describe('Where the files lie that stop deployments') }),
  setup(ctx) {
    const file = (name: string) => join(ctx.config.folder, name)
    const hold = async (hook: string, app: string): Promise<undefined> => {
      const holding = () => [hook, `${hook}@${app}`].filter((name) => existsSync(file(name)))
      const [name] = holding()
      if (name === undefined) return
      writeFileSync(file(`${name}.reached`), '')
      while (holding().length > 0 && !ctx.signal.aborted) await sleep(pollMs)
    }
    for (const hook of ['preDeploy', 'preBuild', 'preStart', 'preSwitch'] as const)
      ctx.tap(hook, ({ app }) => hold(hook, app.name))
    ctx.tap('healthCheck', ({ app }) => hold('healthCheck', app.name))
    ctx.tap('envResolve', (_, { deploy }) => hold('envResolve', deploy.app.name))
    ctx.tap('specResolve', (_, { app }) => hold('specResolve', app.name))
    ctx.tap('routeResolve', (_, { app }) => hold('routeResolve', app.name))
    for (const gate of ['preDeploy', 'preSwitch'] as const)
      ctx.tap(gate, () => (existsSync(file(`${gate}.wait`)) ? wait('needs a promotion') : undefined))
  },
})

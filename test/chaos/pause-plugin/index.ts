import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { definePlugin, wait, z } from '@rivetr/sdk'

/** Wherever a tap can stop a deployment. */
const hooks = [
  'preDeploy',
  'preBuild',
  'envResolve',
  'specResolve',
  'preStart',
  'healthCheck',
  'preSwitch',
  'routeResolve',
] as const

const pollMs = 20

/** Stops deployments while a file `<folder>/<hook>` is there, or makes them wait while `<folder>/<hook>.wait` is. */
export default definePlugin({
  name: 'pause',
  config: z.strictObject({ folder: z.string().describe('Where the files lie that stop deployments') }),
  setup(ctx) {
    const file = (name: string) => join(ctx.config.folder, name)
    const hold = async (hook: string): Promise<undefined> => {
      if (!existsSync(file(hook))) return
      writeFileSync(file(`${hook}.reached`), '')
      while (existsSync(file(hook)) && !ctx.signal.aborted) await sleep(pollMs)
    }
    for (const hook of hooks) ctx.tap(hook, () => hold(hook))
    for (const gate of ['preDeploy', 'preSwitch'] as const)
      ctx.tap(gate, () => (existsSync(file(`${gate}.wait`)) ? wait('needs a promotion') : undefined))
  },
})

import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { discoverPlugins } from './discovery.ts'
import { Kernel } from './kernel.ts'

/**
 * A kernel that has a process for itself, for tests of what plugins do to the process: arguments are the data folder and
 * folders of plugins. Each line on standard input is answered by one with the strangers' states; at its end the kernel stops.
 */
const [dataDir = '', ...folders] = process.argv.slice(2)
const plugins = (await discoverPlugins(folders)).filter(({ builtIn }) => !builtIn)
const kernel = await Kernel.start({
  plugins,
  ownsProcess: true,
  env: { RIVETR_KERNEL__DATA_DIR: dataDir, RIVETR_KERNEL__HEADS_INTERVAL_MS: '0' },
  logTo: { write: (line) => process.stderr.write(line) },
})
const lines = createInterface({ input: process.stdin })
lines.on('line', () => {
  process.stdout.write(
    `${JSON.stringify(kernel.plugins.list().map(({ name, state, error }) => ({ name, state, error })))}\n`,
  )
})
await once(lines, 'close')
await kernel.stop('stop')

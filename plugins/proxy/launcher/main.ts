/**
 * The launcher: holds the listening socket (file descriptor 3, inherited) and keeps edges running that share it.
 * It never accepts a connection and never closes the socket, so connections queue in the system while no edge lives.
 */
import { flushCompileCache } from 'node:module'
import type { Socket } from 'node:net'
import { listenForControl } from './control-socket.ts'
import { Launcher } from './launcher.ts'
import { log } from './log.ts'
import type { LauncherSettings } from './protocol.ts'

process.title = 'rivetr-launcher'
const settings = JSON.parse(process.argv[2] ?? '') as LauncherSettings
const launcher = new Launcher(settings)
let supersededBy: Socket | undefined

const control = listenForControl(
  settings.socket,
  async (command, from) => {
    if (command.do === 'stop') return void setImmediate(() => void stop(from))
    if (command.do === 'supersede') {
      control.close() // frees the path for the successor
      supersededBy = from
    }
    return launcher.run(command)
  },
  (from) => {
    if (from === supersededBy) void stop()
  },
)

process.on('SIGTERM', () => void stop())
log('the launcher runs', { edges: settings.edges, address: settings.address, port: settings.port })
// With its code in the cache, the next launcher starts without the compiler that strips types: 17 MiB less.
flushCompileCache()

let stopping: Promise<void> | undefined

async function stop(from?: Socket): Promise<void> {
  stopping ??= launcher.close()
  control.close()
  await stopping
  log('the launcher ends')
  from?.end()
  process.exit(0)
}

/**
 * The launcher: holds the listening sockets (file descriptors 3 and 4, inherited) and keeps edges running that share
 * them. It never accepts a connection and never closes a socket, so connections queue in the system while no edge lives.
 */
import { statSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { listenForControl } from './control-socket.ts'
import { Launcher, replacedDrainMs } from './launcher.ts'
import { log } from './log.ts'
import { launcherTitle } from './processes.ts'
import type { LauncherSettings } from './protocol.ts'

const folderCheckMs = 2_000

process.title = launcherTitle
const settings = JSON.parse(process.argv[2] ?? '') as LauncherSettings
const launcher = new Launcher(settings)
let supersededBy: Socket | undefined

const control = listenForControl(
  settings.socket,
  async (command, from) => {
    if (command.do === 'stop') {
      control.close() // before the answer: whoever asked may look for the next one at once
      return void setImmediate(() => void stop())
    }
    if (command.do === 'supersede') {
      endKeeper()
      control.close() // frees the path for the successor
      supersededBy = from
    }
    return launcher.run(command)
  },
  (from) => {
    if (from === supersededBy) void stop(replacedDrainMs)
  },
)

process.on('SIGTERM', () => void stop())
process.on(
  'SIGHUP',
  () => void launcher.replace().catch((error) => log('an edge was not replaced', { error: String(error) })),
)
const { edges, address, port, tlsPort } = settings
log('the launcher runs', { edges, address, port, tlsPort })
// With its code in the cache, the next launcher starts without the compiler that strips types: 17 MiB less.
flushCompileCache()
void endWithFolder()

/** The end of the process closes the connection, and tells whoever asked. */
async function stop(drainMs = settings.edge.drainMs): Promise<void> {
  endKeeper()
  control.close()
  await launcher.close(drainMs)
  log('the launcher ends')
  process.exit(0)
}

/** Its copies of the sockets would keep the ports, and a launcher that is killed from now on shall not come back. */
function endKeeper(): void {
  if (String(process.ppid) === process.env.KEEPER_PID) process.kill(process.ppid, 'SIGKILL')
}

/** Once its folder was removed, nobody can reach the launcher any more, not even to stop it. */
async function endWithFolder(): Promise<void> {
  while (!isRemoved(settings.folder)) await sleep(folderCheckMs)
  log('the folder was removed', { folder: settings.folder })
  await stop()
}

/** A disk that only fails for a moment must not end it. */
function isRemoved(folder: string): boolean {
  try {
    return statSync(folder, { throwIfNoEntry: false }) === undefined
  } catch {
    return false
  }
}

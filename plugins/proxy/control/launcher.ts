import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { type Logger, RivetrError } from '@rivetr/sdk'
import { endOrphans } from '../launcher/orphans.ts'
import { edgeTitle, keeperName, launcherTitle, processesIn } from '../launcher/processes.ts'
import { type LauncherSettings, protocol } from '../launcher/protocol.ts'
import { LauncherClient } from './launcher-client.ts'
import { listenAndPass, type Port } from './listening-socket.ts'

/** Linux takes no longer path for a unix socket (sockaddr_un has 108 bytes, the last is NUL). */
const longestSocketPath = 107
const startLimitMs = 15_000
/** A launcher that was killed is back sooner; a keeper whose launcher is not, keeps one that cannot start. */
const backLimitMs = 5_000
const portFreeLimitMs = 2_000
const connectPauseMs = 25
const goneCheckMs = 50
/** A log of this size is put aside when the next launcher starts. */
const longestLogBytes = 4 * 1024 * 1024

const keeperFile = fileURLToPath(new URL('../launcher/keeper.sh', import.meta.url))
const launcherFile = fileURLToPath(new URL('../launcher/main.ts', import.meta.url))

/** V8 compiles nothing to machine code: next to nothing runs in a launcher, and the compilers take 3 MiB. */
const interpretOnly = '--max-opt=0'

/** Where a launcher really listens. */
type Bound = Pick<LauncherSettings, 'address' | 'port' | 'tlsPort'>

export interface RunningLauncher extends Bound {
  readonly client: LauncherClient
  /** It ran before, and has traffic. */
  readonly found: boolean
}

/**
 * A connection to a launcher with these settings: the one that runs, or its successor, or a new one.
 *
 * - Same settings and release: it is adopted as it is.
 * - Same ports: it hands its listening sockets to a successor, and drains once that one serves. No connection is lost.
 * - Another port, or another protocol: it is stopped, and a new one is started. On the old port that is a short gap.
 */
export async function connectLauncher(
  settings: LauncherSettings,
  signal: AbortSignal,
  log: Logger,
): Promise<RunningLauncher> {
  checkSocketPath(settings.socket)
  const running = (await LauncherClient.connect(settings.socket)) ?? (await keptLauncher(settings, signal))
  if (running === undefined) {
    await endRest(settings, log)
    return start(settings, signal, log)
  }
  const hello = await running.hello()
  const { address, port, tlsPort = null } = hello.settings // protocol 1 knows no HTTPS
  const bound: Bound = { address, port, tlsPort }
  if (hello.protocol === protocol && isAt(bound, settings)) {
    const wanted = { ...settings, ...bound }
    if (isDeepStrictEqual(hello.settings, wanted)) {
      log.info('found the launcher of the proxy running', { pid: hello.pid, ...bound })
      return { client: running, found: true, ...bound }
    }
    log.info('the launcher hands over to one of the new settings or release', { pid: hello.pid, ...bound })
    await running.ask({ do: 'supersede', argv: keptLauncherArgv(wanted) })
    const successor = await waitForLauncher(settings, signal)
    await successor.ask({ do: 'ready' })
    running.close() // which is what the old one waits for
    return { client: successor, found: true, ...bound }
  }
  log.info('the launcher that runs listens elsewhere, or is of another protocol; it is stopped', {
    pid: hello.pid,
    ...bound,
  })
  await running.ask({ do: 'stop' })
  return start(settings, signal, log)
}

/** Whether these settings lead to the same sockets: any port will do for 0, and `::` may have become 0.0.0.0. */
function isAt(bound: Bound, { address, port, tlsPort }: LauncherSettings): boolean {
  const sameAddress = bound.address === address || (address === '::' && bound.address === '0.0.0.0')
  const sameTlsPort = bound.tlsPort === tlsPort || (bound.tlsPort !== null && tlsPort === 0)
  return sameAddress && sameTlsPort && (port === 0 || port === bound.port)
}

async function start(settings: LauncherSettings, signal: AbortSignal, log: Logger): Promise<RunningLauncher> {
  mkdirSync(settings.folder, { recursive: true, mode: 0o700 })
  let bound: Bound = settings
  await listenAndPass(settings.address, portsOf(settings), signal, (sockets) => {
    const [{ address, port }, tls] = sockets
    bound = { address, port, tlsPort: tls?.port ?? null }
    const logFd = openLog(settings.folder)
    const [program, ...args] = keptLauncherArgv({ ...settings, ...bound })
    const child = spawn(program, args, {
      cwd: settings.folder,
      // Types are stripped once and cached: without the compiler a launcher takes 52 MiB instead of 84.
      env: { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(settings.folder, 'compile-cache') },
      detached: true,
      stdio: ['ignore', logFd, logFd, ...sockets.map(({ fd }) => fd)],
    })
    child.on('error', (error) => log.error('the launcher cannot be started', { error: error.message }))
    child.unref()
    closeSync(logFd)
  })
  const client = await waitForLauncher(settings, signal)
  const { pid } = await client.hello()
  const { address, port, tlsPort } = bound
  log.info('started the launcher of the proxy', { pid, address, port, tlsPort })
  return { client, found: false, address, port, tlsPort }
}

/** In the order of their descriptors. */
function portsOf({ port, tlsPort }: LauncherSettings): [Port, ...Port[]] {
  const http = { number: port, setting: 'http_port' }
  return tlsPort === null ? [http] : [http, { number: tlsPort, setting: 'https_port' }]
}

/** Keeper, program, its arguments: the keeper only runs what follows its own path. */
function keptLauncherArgv(settings: LauncherSettings): [string, ...string[]] {
  return ['/bin/sh', keeperFile, process.execPath, interpretOnly, launcherFile, JSON.stringify(settings)]
}

/** The launcher that a keeper is starting again, if there is a keeper. */
async function keptLauncher(
  settings: LauncherSettings,
  signal: AbortSignal,
): Promise<LauncherClient | undefined> {
  const kept = processesIn(settings.folder).some(({ name }) => name === keeperName || name === launcherTitle)
  return kept ? connectWithin(backLimitMs, settings, signal) : undefined
}

/** What is left of a launcher that does not come back. Its edges hold the ports until they are told to drain. */
async function endRest({ folder, edge }: LauncherSettings, log: Logger): Promise<void> {
  const rest = processesIn(folder)
  if (rest.length === 0) return
  log.warn('nobody keeps the edges of the proxy any more; they drain', {
    processes: rest.map(({ pid }) => pid),
  })
  for (const { name, pid } of rest) if (name !== edgeTitle) end(pid, 'SIGKILL')
  await endOrphans(folder, edge.drainMs, portFreeLimitMs)
}

/** Ends whatever still runs in the folder, such as a launcher that comes back at this moment. */
export async function endAll({ folder, edge }: LauncherSettings): Promise<void> {
  const rest = processesIn(folder)
  for (const { name, pid } of rest) end(pid, name === keeperName ? 'SIGKILL' : 'SIGTERM')
  const giveUpAtMs = performance.now() + edge.drainMs
  while (processesIn(folder).length > 0 && performance.now() < giveUpAtMs) await sleep(goneCheckMs)
  for (const { pid } of processesIn(folder)) end(pid, 'SIGKILL')
}

function end(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // it ended by itself
  }
}

async function connectWithin(
  limitMs: number,
  { socket }: LauncherSettings,
  signal: AbortSignal,
): Promise<LauncherClient | undefined> {
  const giveUpAtMs = performance.now() + limitMs
  while (performance.now() < giveUpAtMs) {
    const client = await LauncherClient.connect(socket)
    if (client !== undefined) return client
    await sleep(connectPauseMs, undefined, { signal })
  }
  return undefined
}

async function waitForLauncher(settings: LauncherSettings, signal: AbortSignal): Promise<LauncherClient> {
  const client = await connectWithin(startLimitMs, settings, signal)
  if (client !== undefined) return client
  throw new RivetrError(
    'unavailable',
    `the proxy's launcher did not come up within ${startLimitMs} ms; see ${logFile(settings.folder)}`,
  )
}

function checkSocketPath(path: string): void {
  if (Buffer.byteLength(path) <= longestSocketPath) return
  throw new RivetrError(
    'data_unusable',
    `the path of the launcher's socket is longer than the ${longestSocketPath} bytes that the system takes: ${path}; use a data folder with a shorter path`,
  )
}

function logFile(folder: string): string {
  return join(folder, 'launcher.log')
}

function openLog(folder: string): number {
  const file = logFile(folder)
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > longestLogBytes)
    renameSync(file, `${file}.old`)
  return openSync(file, 'a', 0o600)
}

/**
 * An edge: serves clients from the table that the launcher gives it, and asks nobody for anything. Without a launcher
 * it serves on, until the edges of another one serve and it is told to drain.
 */
import { readlinkSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { log } from '../launcher/log.ts'
import { edgeTitle } from '../launcher/processes.ts'
import {
  type CertificatesContent,
  type EdgeCommand,
  type EdgeSettings,
  type EdgeStats,
  type EdgeTaps,
  type Loaded,
  listenFd,
  type Numbered,
  type RoutesContent,
  type TableUpdate,
  tlsListenFd,
} from '../launcher/protocol.ts'
import { AccessLog } from './access-log.ts'
import { Holds } from './holds.ts'
import { Listener } from './listener.ts'
import { dropPrivileges } from './privileges.ts'
import { Requests } from './requests.ts'
import type { SecureListener } from './secure-listener.ts'
import { saveSnapshot } from './snapshot.ts'
import { Table } from './table.ts'
import { Taps } from './taps.ts'

const folderCheckMs = 2_000
/** A slow disk keeps no edge from ending. */
const logCloseLimitMs = 500

process.title = edgeTitle
const settings = JSON.parse(process.argv[2] ?? '') as EdgeSettings
const table = new Table(settings)
const holds = new Holds()
let lastTaken: Promise<void> = Promise.resolve()
let lastTaps: Promise<void> = Promise.resolve()
let certificates: { revision: string; content: CertificatesContent } | undefined
let serves = false
const accessLog = new AccessLog(settings)
const requests = new Requests(settings, table, holds, accessLog)
const secure = settings.tlsPort === null ? undefined : await loadSecureListener()
const listener = new Listener(settings, requests, secure)

process.on('message', (command: Numbered<EdgeCommand>) => void answer(command))
process.on('disconnect', () => void serveAlone())
process.on('SIGTERM', () => void end(settings.drainMs, 'SIGTERM'))

flushCompileCache()
await dropPrivileges()
process.send?.({ loaded: true } satisfies Loaded)

/** Without HTTPS an edge does without TLS, too. */
async function loadSecureListener(): Promise<SecureListener> {
  const { SecureListener } = await import('./secure-listener.ts')
  return new SecureListener(settings, table, requests)
}

async function answer(command: Numbered<EdgeCommand>): Promise<void> {
  const reply = await run(command).then(
    (result) => ({ id: command.id, result }),
    (error: Error) => {
      log('a command failed', { command: command.do, error: error.stack })
      return { id: command.id, error: { code: 'internal', message: error.message } }
    },
  )
  if (process.connected) process.send?.(reply)
}

async function run(command: EdgeCommand): Promise<true | EdgeStats> {
  switch (command.do) {
    case 'serve':
      for (const { app, limitMs } of command.holds) holds.hold(app, limitMs)
      secure?.useTicketSecret(command.ticketSecret)
      await Promise.all([command.table && take(command.table), useTaps(command.taps)])
      await Promise.all([listener.listen({ fd: listenFd }), secure?.listen({ fd: tlsListenFd })])
      serves = true
      return true
    case 'apply':
      await take(command)
      return true
    case 'hold':
      holds.hold(command.app, command.limitMs)
      return true
    case 'release':
      holds.release(command.app)
      return true
    case 'taps':
      await useTaps(command.taps)
      return true
    case 'ticketSecret':
      secure?.useTicketSecret(command.secret)
      return true
    case 'stats':
      return {
        inFlight: table.inFlight(),
        requests: requests.count,
        taps: requests.taps?.stats() ?? [],
        serves,
      }
    case 'ping':
      return true
    case 'drain':
      void end(command.limitMs, 'drained')
      return true
  }
}

/** One set after the other, in the order in which they came. */
function useTaps(taps: readonly EdgeTaps[]): Promise<void> {
  const used = lastTaps.then(async () => {
    requests.taps = await Taps.load(taps)
  })
  lastTaps = used.catch(() => undefined)
  return used
}

/** One table after the other. Written down first: what an edge serves, its successor can serve. */
function take({ table: next, certificates: sent }: TableUpdate): Promise<void> {
  const taken = lastTaken.then(async () => {
    const routes = JSON.parse(next.text) as RoutesContent
    const now = sent ? { revision: sent.revision, content: JSON.parse(sent.text) } : certificates
    if (now?.revision !== next.certificates)
      throw new Error(`the table is of the certificates ${next.certificates}, and here are ${now?.revision}`)
    await saveSnapshot(next, now.content)
    certificates = now
    table.replace({ ...routes, ...now.content })
    secure?.tableChanged()
  })
  lastTaken = taken.catch(() => undefined) // whoever sent the table is told
  return taken
}

async function serveAlone(): Promise<void> {
  log('the launcher is gone; the edge serves on')
  // Without the folder no launcher will come. (An edge that never came to serve has nothing left to do, and ends.)
  while (!readlinkSync('/proc/self/cwd').endsWith(' (deleted)'))
    await sleep(folderCheckMs, undefined, { ref: false })
  await end(settings.drainMs, 'the folder was removed')
}

async function end(limitMs: number, reason: string): Promise<void> {
  serves = false
  log('the edge drains', { reason })
  holds.releaseAll()
  await listener.drain(limitMs)
  await Promise.race([accessLog.close(), sleep(logCloseLimitMs)])
  process.exit(0)
}

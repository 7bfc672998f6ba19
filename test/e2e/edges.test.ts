import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { LauncherClient } from '../../plugins/proxy/control/launcher-client.ts'
import { edgeTitle, processesIn } from '../../plugins/proxy/launcher/processes.ts'
import type { EdgeStats, Hello } from '../../plugins/proxy/launcher/protocol.ts'
import { Load, type LoadReport } from '../machine/load.ts'
import { temporaryFolder } from '../machine/this-run.ts'
import { stageRuntime } from '../stage/runtimes.ts'
import { Stage } from '../stage/stage.ts'

const host = 'edges.example.test'
const edges = 2
/** Keep-alive connections of the load: no process can hold more of its requests than this. */
const connections = 8

/** On a quiet machine it takes 2 s at most; test machines are busy. */
const backLimitMs = 5_000
const hungLimitMs = 5_000

describe('the edges under load', () => {
  let stage: Stage
  let folder: string

  before(async () => {
    const runtime = await stageRuntime('native')
    stage = await Stage.open({
      folder: await temporaryFolder(),
      config: { ...runtime.config, proxy: { edges } },
    })
    folder = join(stage.rivetr.folder, 'data', 'plugins', 'proxy')
    const app = await stage.createApp('edges', runtime.example, { runtime: 'native', routes: [{ host }] })
    const deployment = await app.pushAndSettle({ 'version.txt': 'one' })
    assert.equal(deployment.state, 'live', deployment.reason)
  })

  after(async () => {
    await stage?.[Symbol.asyncDispose]()
  })

  test('the launcher is killed: no request is lost, and another one comes', async () => {
    const load = await begin()
    const launcher = await launcherPid()
    const old = edgePids()
    process.kill(launcher, 'SIGKILL')
    await within(backLimitMs, 'another launcher', async () => (await launcherPid()) !== launcher)
    await within(5_000, 'the end of the old edges', async () => isDisjoint(edgePids(), old))
    assert.deepEqual((await end(load)).failed, [])
  })

  test('the launcher is killed while the kernel is down: no request is lost, and the kernel adopts the next', async () => {
    const load = await begin()
    await stage.rivetr.stop('SIGKILL')
    const launcher = await launcherPid()
    process.kill(launcher, 'SIGKILL')
    const next = await within(backLimitMs, 'another launcher', async () => {
      const pid = await launcherPid()
      return pid !== launcher && pid
    })
    await load.more(100)
    await stage.rivetr.start()
    assert.equal(await launcherPid(), next)
    assert.deepEqual((await end(load)).failed, [])
  })

  test('one edge is killed: only what it held breaks', async () => {
    const load = await begin()
    const [edge = 0] = edgePids()
    const killed = kill(load, [edge])
    await within(backLimitMs, 'as many edges as before', async () => isServedBy(await stats(), edges))
    breaksOnlyWhatWasHeld(await end(load), killed)
  })

  test('all edges are killed: only what they held breaks, new connections wait, and they come back', async () => {
    const load = await begin()
    const killed = kill(load, edgePids())
    await within(backLimitMs, 'as many edges as before', async () => isServedBy(await stats(), edges))
    breaksOnlyWhatWasHeld(await end(load), killed)
  })

  test('an edge that hangs is replaced; only what it held breaks', async () => {
    const load = await begin()
    const [hung = 0] = edgePids()
    const hungFrom = load.count
    process.kill(hung, 'SIGSTOP')
    await within(hungLimitMs, 'the end of the edge that hangs', async () => !edgePids().includes(hung))
    await within(backLimitMs, 'as many edges as before', async () => isServedBy(await stats(), edges))
    const report = await end(load)
    assert.ok(report.failed.length <= connections, JSON.stringify(report.failed))
    for (const request of report.failed) assert.ok(report.requests.indexOf(request) >= hungFrom - connections)
  })

  test('edges are replaced one by one: no request is lost', async () => {
    const load = await begin()
    const old = edgePids()
    await ask({ do: 'replace' })
    await within(35_000, 'the end of the old edges', async () => isDisjoint(edgePids(), old))
    assert.deepEqual((await end(load)).failed, [])
  })

  test('edges that are killed while the kernel is down serve again from their snapshot', async () => {
    const load = await begin()
    await stage.rivetr.stop('SIGKILL')
    const before = await stats()
    const killed = kill(load, edgePids())
    const now = await within(backLimitMs, 'as many edges as before', async () => {
      const seen = await stats()
      return isServedBy(seen, edges) && seen
    })
    assert.equal(now.generation, before.generation)
    breaksOnlyWhatWasHeld(await end(load), killed)
    await stage.rivetr.start()
  })

  test('launcher and edges are killed while the kernel is down: a new launcher serves from the snapshot', async () => {
    await stage.rivetr.stop('SIGKILL')
    const launcher = await launcherPid()
    for (const pid of [launcher, ...edgePids()]) process.kill(pid, 'SIGKILL')
    await within(5_000, 'as many edges as before', async () => isServedBy(await stats(), edges))
    const load = await begin()
    assert.deepEqual((await end(load)).failed, [])
    await stage.rivetr.start()
  })

  test('the kernel is stopped as for an upgrade, and started: no request is lost, launcher and edges stay', async () => {
    const pids = [await launcherPid(), ...edgePids()]
    const load = await begin()
    await stage.rivetr.stop('SIGTERM')
    await load.more(50)
    await stage.rivetr.start()
    assert.deepEqual((await end(load)).failed, [])
    assert.deepEqual([await launcherPid(), ...edgePids()], pids)
  })

  async function begin(): Promise<Load> {
    const load = new Load({
      port: stage.rivetr.proxyPort,
      host,
      path: '/version',
      requestsPerSecond: 100,
      connections,
    })
    await load.more(50)
    return load
  }

  /** The report, once what happened has been followed by half a second of requests. */
  async function end(load: Load): Promise<LoadReport> {
    await load.more(50)
    return load.stop()
  }

  async function ask<Result>(command: Parameters<LauncherClient['ask']>[0]): Promise<Result> {
    const client = await LauncherClient.connect(join(folder, 'launcher.sock'))
    if (client === undefined) throw new Error('no launcher listens')
    try {
      return (await client.ask(command)) as Result
    } finally {
      client.close()
    }
  }

  async function launcherPid(): Promise<number> {
    return (await ask<Hello>({ do: 'hello' })).pid
  }

  /** All edges of this Rivetr: of the launcher, and those that still drain or have lost theirs. */
  function edgePids(): number[] {
    return processesIn(join(folder, 'edges'))
      .filter(({ name }) => name === edgeTitle)
      .map(({ pid }) => pid)
  }

  function stats(): Promise<Stats> {
    return ask<Stats>({ do: 'stats' })
  }
})

type Stats = EdgeStats & { readonly edges: number; readonly generation: number }

interface Killed {
  /** How many requests had been sent by then. */
  readonly sentBefore: number
}

function kill(load: Load, pids: readonly number[]): Killed {
  const sentBefore = load.count
  for (const pid of pids) process.kill(pid, 'SIGKILL')
  return { sentBefore }
}

/** A client learns within this that a kept connection is closed; what it sends on it until then is lost too. */
const noticeMs = 100

/** At most one request per connection, and only such as were on their way when the process ended. */
function breaksOnlyWhatWasHeld({ requests, failed }: LoadReport, { sentBefore }: Killed): void {
  assert.ok(failed.length <= connections, JSON.stringify(failed))
  const killedAtMs = requests[sentBefore]?.sentAtMs ?? 0
  assert.deepEqual(
    failed.filter(({ sentAtMs }) => sentAtMs > killedAtMs + noticeMs),
    [],
  )
}

function isDisjoint(some: readonly number[], others: readonly number[]): boolean {
  return some.length > 0 && !some.some((one) => others.includes(one))
}

function isServedBy(stats: Stats, count: number): boolean {
  return stats.edges === count
}

/** What `look` finds, within the limit; while nobody listens it is asked again. */
async function within<Found>(
  limitMs: number,
  what: string,
  look: () => Promise<Found | false>,
): Promise<Found> {
  const deadline = performance.now() + limitMs
  for (;;) {
    const found = await look().catch(() => false as const)
    if (found !== false) return found
    if (performance.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`)
    await sleep(20)
  }
}

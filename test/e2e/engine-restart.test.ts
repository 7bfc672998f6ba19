import assert from 'node:assert/strict'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Engine } from '../machine/engine.ts'
import { callEngine } from '../machine/engine-socket.ts'
import { Load, type LoadReport } from '../machine/load.ts'
import { temporaryFolder, thisRunsEngine } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'
import { type StageRuntime, stageRuntime } from '../stage/runtimes.ts'
import { Stage, type StageApp } from '../stage/stage.ts'

const names = ['red', 'blue'] as const
const hostOf = (name: string) => `${name}.example.test`
const backLimitMs = 10_000

describe('the engine goes and comes back', () => {
  let engine: Engine
  let runtime: StageRuntime
  let stage: Stage
  const apps: StageApp[] = []

  before(async () => {
    engine = thisRunsEngine()
    runtime = await stageRuntime('docker')
    stage = await Stage.open({ folder: await temporaryFolder(), config: runtime.config })
    for (const name of names) apps.push(await liveApp(stage, name))
  })

  after(async () => {
    await stage?.[Symbol.asyncDispose]()
  })

  test('B6: with the kernel up every host answers with its own app by itself', async () => {
    const addresses = await addressesOf(engine)
    const loads = names.map((name) => loadOn(stage, name))
    await engine.restart()
    await answerAll(stage)
    for (const load of loads) await load.more(20)
    for (const [index, load] of loads.entries()) assertOwn(await load.stop(), names[index] ?? '')
    assert.deepEqual(await addressesOf(engine), addresses)
    for (const app of apps) assert.equal((await app.standing()).length, 1)
  })

  test('B6: with the kernel killed the apps come back, too, through the edges alone', async () => {
    const addresses = await addressesOf(engine)
    const loads = names.map((name) => loadOn(stage, name))
    await stage.rivetr.kill()
    await engine.restart()
    await answerAll(stage)
    for (const load of loads) await load.more(20)
    for (const [index, load] of loads.entries()) assertOwn(await load.stop(), names[index] ?? '')
    assert.deepEqual(await addressesOf(engine), addresses)

    const running = await startedAt(engine)
    await stage.rivetr.start()
    await answerAll(stage)
    assert.deepEqual(await startedAt(engine), running, 'the next boot starts nothing that runs')
  })

  test('B6: replicas that somebody stops, and starts in the other order, keep their addresses', async () => {
    const addresses = await addressesOf(engine)
    const loads = names.map((name) => loadOn(stage, name))
    const each = async (order: readonly string[], action: string) => {
      for (const container of order)
        await callEngine(engine.socketPath, { method: 'POST', path: `/containers${container}/${action}` })
    }
    const order = Object.keys(addresses)
    await each(order, 'stop?t=1')
    await each(order.toReversed(), 'start')
    await answerAll(stage)
    for (const load of loads) await load.more(20)
    for (const [index, load] of loads.entries()) assertOwn(await load.stop(), names[index] ?? '')
    assert.deepEqual(await addressesOf(engine), addresses)
  })

  for (const [how, rivetrIs] of [
    ['while Rivetr runs', 'up'],
    ['while Rivetr is down', 'down'],
  ] as const)
    test(`U40: a replica that is taken off its network ${how} is put back, and the log says so`, async () => {
      const addresses = await addressesOf(engine)
      const [container = ''] = Object.keys(addresses).filter((name) => /red/.test(name))
      const load = loadOn(stage, 'blue')
      if (rivetrIs === 'down') await stage.rivetr.kill()
      const { body } = await callEngine(engine.socketPath, { path: `/containers${container}/json` })
      const [network] = Object.keys((JSON.parse(body) as Inspected).NetworkSettings.Networks)
      const { status } = await callEngine(engine.socketPath, {
        method: 'POST',
        path: `/networks/${network}/disconnect`,
        json: { Container: container.slice(1), Force: true },
      })
      assert.equal(status, 200)
      const saidBefore = (await stage.rivetr.log()).length
      if (rivetrIs === 'down') await stage.rivetr.start()
      await until('the replica at its address', async () =>
        (await addressesOf(engine))[container] === addresses[container] ? true : undefined,
      )
      await answerAll(stage)
      await until('the log to say so', async () =>
        /replica [^"]+ of red is back/.test((await stage.rivetr.log()).slice(saidBefore)) ? true : undefined,
      )
      assertOwn(await load.stop(), 'blue')
    })

  test('while the engine is away a push waits with the reason, live routes stay, and it goes live afterwards', async () => {
    const [red] = apps
    assert.ok(red)
    const load = loadOn(stage, 'red')
    await engine.kill() // its containers live on
    try {
      const awayAt = Date.now()
      const id = await red.push({ 'version.txt': 'red' }, 'again')
      const waiting = await until('waiting', async () => {
        const deployment = await stage.rivetr.client.deployments.get(id)
        return deployment.state === 'waiting' ? deployment : undefined
      })
      assert.match(waiting.reason ?? '', /docker/i)
      await sleep(Math.max(20_000 - (Date.now() - awayAt), 0))
      const report = await load.stop()
      assert.deepEqual(report.failed, [])
      assertOwn(report, 'red')
      assert.equal((await red.standing()).length, 1)
      await engine.start()
      const live = await red.settled(id)
      assert.equal(live.state, 'live', live.reason)
    } finally {
      await engine.start().catch(() => undefined) // it runs already where all went well
    }
    await answerAll(stage)
  })

  test('two Rivetrs on one engine leave each other alone, and replicas of a lost database are reported', async () => {
    const folder = await temporaryFolder()
    await mkdir(folder, { recursive: true })
    const first = await until('the end of what was replaced', async () => {
      const all = await startedAt(engine)
      return Object.keys(all).length === names.length ? all : undefined
    })
    await using other = await Stage.open({ folder, config: runtime.config })
    try {
      await liveApp(other, 'red')
      await answerAll(stage)
      await other.rivetr.kill()
      const both = await startedAt(engine)
      assert.equal(Object.keys(both).length, names.length + 1)

      for (const suffix of ['', '-wal', '-shm'])
        await rm(join(folder, 'data', `rivetr.db${suffix}`), { force: true })
      await other.rivetr.start()
      const reported = /carries our label, but its deployment .* is unknown; it is left alone/
      await until('a report', async () => (reported.test(await other.rivetr.log()) ? true : undefined))
      assert.deepEqual(await startedAt(engine), both, 'nothing was stopped, removed or started')
    } finally {
      await other.rivetr.stop()
      await other.rivetr.start() // its edges end with it, also where it was killed
      await other.rivetr.stop()
    }
    await answerAll(stage)
    const kept = await startedAt(engine)
    for (const [name, at] of Object.entries(first)) assert.equal(kept[name], at, name)
  })

  async function liveApp(on: Stage, name: string): Promise<StageApp> {
    const app = await on.createApp(name, runtime.example, {
      runtime: 'docker',
      routes: [{ host: hostOf(name) }],
      health: { kind: 'http', path: '/healthz', intervalMs: 200, deadlineMs: 30_000 },
    })
    const deployment = await app.pushAndSettle({ ...runtime.files, 'version.txt': name })
    assert.equal(deployment.state, 'live', deployment.reason)
    return app
  }
})

function loadOn(stage: Stage, name: string): Load {
  return new Load({
    port: stage.rivetr.proxyPort,
    host: hostOf(name),
    path: '/version',
    requestsPerSecond: 10,
    timeoutMs: 15_000,
  })
}

/** Every host answers with its own app, within the limit. */
async function answerAll(stage: Stage): Promise<void> {
  await until(
    'answers of both apps',
    async () => {
      for (const name of names) {
        const answer = await fetchHost(stage.rivetr.proxyPort, '/version', hostOf(name)).catch(
          () => undefined,
        )
        if (answer?.status !== 200) return undefined
        assert.equal((JSON.parse(answer.body) as { version: string }).version, name)
      }
      return true
    },
    backLimitMs,
  )
}

/** Whatever was answered came from the app of that host. */
function assertOwn({ requests }: LoadReport, name: string): void {
  const answered = requests.filter(({ status }) => status === 200)
  assert.ok(answered.length > 0)
  for (const { body } of answered) assert.equal((JSON.parse(body) as { version: string }).version, name)
}

interface Inspected {
  readonly Name: string
  readonly State: { readonly StartedAt: string }
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> }
}

async function containers({ socketPath }: Engine): Promise<Inspected[]> {
  const filters = encodeURIComponent(JSON.stringify({ label: ['rivetr.replica'] }))
  const { body } = await callEngine(socketPath, { path: `/containers/json?filters=${filters}` })
  return Promise.all(
    (JSON.parse(body) as { Id: string }[]).map(async ({ Id }) => {
      const inspected = await callEngine(socketPath, { path: `/containers/${Id}/json` })
      return JSON.parse(inspected.body) as Inspected
    }),
  )
}

async function addressesOf(engine: Engine): Promise<Record<string, string | undefined>> {
  const all = await containers(engine)
  return Object.fromEntries(
    all
      .map(({ Name, NetworkSettings }) => [Name, Object.values(NetworkSettings.Networks)[0]?.IPAddress])
      .sort(),
  )
}

async function startedAt(engine: Engine): Promise<Record<string, string>> {
  const all = await containers(engine)
  return Object.fromEntries(all.map(({ Name, State }) => [Name, State.StartedAt]).sort())
}

async function until<T>(what: string, ask: () => Promise<T | undefined>, limitMs = 60_000): Promise<T> {
  const giveUpAt = Date.now() + limitMs
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (Date.now() > giveUpAt) throw new Error(`no ${what} within ${limitMs} ms`)
    await sleep(100)
  }
}

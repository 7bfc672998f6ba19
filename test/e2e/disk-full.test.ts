import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, test } from 'node:test'
import type { LogLine } from '@rivetr/sdk'
import { DeploymentLogs } from '../../kernel/deploy/deployment-log.ts'
import { systemClock } from '../../kernel/host/clock.ts'
import { type Moment, moments } from '../chaos/moments.ts'
import { type ChaosApp, ChaosScene } from '../chaos/scene.ts'
import { until } from '../chaos/until.ts'
import { Load } from '../machine/load.ts'
import { temporaryFolder, thisRunsEngine } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'
import { SmallDisk } from '../stage/small-disk.ts'

/** In which moment of a deployment the disk becomes full, and how that deployment must end. */
const fillsUp: readonly (readonly [name: string, ends: 'failed' | 'live'])[] = [
  ['fetching', 'failed'],
  ['building, in preBuild', 'failed'],
  ['preparing, in the release command', 'failed'],
  ['starting, in preStart', 'failed'],
  ['checking, in preSwitch', 'failed'],
  ['switching, past the commit point', 'live'],
]

/** What every reason must tell. */
const saysFull =
  /the disk of \S+\/data\S*( and \S+)? is full: free some space, then deploy again|No space left on device/i

for (const runtime of ['native', 'docker'] as const) {
  describe(`the disk of Rivetr's folders becomes full on ${runtime} while a deployment is`, () => {
    const stack = new AsyncDisposableStack()
    let disks: SmallDisk[]
    let scene: ChaosScene
    let app: ChaosApp

    before(async () => {
      const folder = await temporaryFolder()
      disks = [
        stack.use(await SmallDisk.mount(join(folder, 'data'), { mebibytes: 48, mode: '0700' })),
        stack.use(await SmallDisk.mount(join(folder, 'data-apps'), { mebibytes: 16, mode: '0711' })),
      ]
      scene = stack.use(await ChaosScene.open({ folder, runtime }))
      app = await scene.createApp('shop', { releaseCommand: ['sh', 'release.sh'] })
      const first = await app.app.settled(await app.push())
      assert.equal(first.state, 'live', first.reason)
    })

    after(() => stack.disposeAsync())

    for (const [name, ends] of fillsUp) {
      test(`${name}: it is ${ends}, the old release serves, nothing is lost, and the next is live`, async () => {
        const moment = moments.find((each) => each.name === name) as Moment
        const { rivetr } = scene.stage
        const old = await served(app)
        const load = new Load({ port: rivetr.proxyPort, host: app.host, requestsPerSecond: 40 })
        const id = await moment.reach(app)
        emptyWal(rivetr.folder)
        for (const disk of disks) await disk.fill()
        try {
          await assert.rejects(rivetr.client.apps.update('shop', { port: 3000 }), { code: 'unavailable' })
          await moment.release(app, id)
          if (ends === 'failed') {
            await until(
              'failure in the log',
              async () => (await app.logOf(id)).at(-1)?.startsWith('failed') ?? false,
            )
            assert.equal(await served(app), old)
          }
          await load.more(40)
        } finally {
          for (const disk of disks) await disk.free()
        }
        const ended = await app.app.settled(id)
        assert.equal(ended.state, ends, ended.reason)
        if (ends === 'failed') {
          assert.match(ended.reason ?? '', saysFull)
          assert.equal(await served(app), old)
        }
        const { items } = await rivetr.client.deployments.logs(id)
        assert.deepEqual(
          items.map(({ seq }) => seq),
          items.map((_, index) => index + 1),
        )
        const next = await app.app.settled(await app.push())
        assert.equal(next.state, 'live', next.reason)
        assert.equal(await served(app), app.version)
        const { failed } = await load.stop()
        assert.deepEqual(failed, [])
        assert.equal(integrity(rivetr.folder), 'ok')
        assert.deepEqual(await readdir(join(rivetr.folder, 'data', 'workspaces')), [])
      })
    }

    if (runtime === 'docker')
      test("the engine's own disk is full: the build fails and says so, the old release serves, and the next is live", async () => {
        const old = await served(app)
        {
          // Where it unpacks what it is to build.
          await using disk = await SmallDisk.mount(join(thisRunsEngine().folder, 'data', 'tmp'), {
            mebibytes: 1,
            mode: '0700',
          })
          await disk.fill()
          const failed = await app.app.settled(await app.push())
          assert.equal(failed.state, 'failed')
          assert.equal(failed.error?.step, 'build')
          assert.match(failed.reason ?? '', /no space left on device/)
          assert.equal(await served(app), old)
        }
        const next = await app.app.settled(await app.push())
        assert.equal(next.state, 'live', next.reason)
        assert.equal(await served(app), app.version)
      })
  })
}

function served({ scene, host }: ChaosApp): Promise<string> {
  return fetchHost(scene.stage.rivetr.proxyPort, '/', host).then(({ body }) => body)
}

/** The log of writes becomes empty, so that the next one needs room on the disk. */
function emptyWal(folder: string): void {
  const database = new DatabaseSync(join(folder, 'data', 'rivetr.db'))
  try {
    database.exec('pragma wal_checkpoint(truncate)')
  } finally {
    database.close()
  }
}

function integrity(folder: string): unknown {
  const database = new DatabaseSync(join(folder, 'data', 'rivetr.db'), { readOnly: true })
  try {
    return database.prepare('pragma integrity_check').get()?.integrity_check
  } finally {
    database.close()
  }
}

describe('the log of a deployment on a disk that becomes full', () => {
  test('loses nothing that it can hold, and says what it could not', async () => {
    await using disk = await SmallDisk.mount(join(await temporaryFolder(), 'disk'), {
      mebibytes: 8,
      mode: '0700',
    })
    const logs = new DeploymentLogs(disk.folder, systemClock)
    const read = async () => {
      const lines: LogLine[] = []
      for await (const line of logs.read('d1', { signal: AbortSignal.timeout(20_000) })) lines.push(line)
      return lines
    }
    const log = await logs.write('d1')
    log.line('before', 'stdout', 'build')
    await log.flush()
    await disk.fill()
    for (let number = 0; number < 200; number += 1) log.line(`meanwhile ${number}`, 'stdout', 'build')
    await log.flush()
    assert.equal((await read()).length, 201, 'readers see what waits')
    await disk.free()
    log.line('after', 'stdout', 'build')
    assert.equal(await log.close(), 0)
    const held = await read()
    assert.deepEqual(
      held.map(({ seq }) => seq),
      Array.from({ length: 202 }, (_, index) => index + 1),
    )

    const again = await logs.write('d1')
    await disk.fill()
    for (let number = 0; number < 12_000; number += 1) again.line(`much ${number}`, 'stdout', 'build')
    await again.flush()
    await disk.free()
    assert.equal(await again.close(), 0)
    const rest = (await read()).slice(202)
    const leftOut = rest.find(({ stream }) => stream === 'rivetr')
    const count = Number(/^(\d+) lines are left out here/.exec(leftOut?.text ?? '')?.[1])
    assert.ok(count > 0)
    assert.equal(rest.length - 1 + count, 12_000)
    assert.equal(rest.at(-1)?.text, 'much 11999')
  })
})

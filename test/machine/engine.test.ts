import assert from 'node:assert/strict'
import { existsSync, globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { ensureBaseImage } from './base-image.ts'
import type { Engine } from './engine.ts'
import { startEngine } from './engine.ts'
import { engineCgroup, processesOf } from './engine-remains.ts'
import { callEngine } from './engine-socket.ts'
import { createNetwork } from './network.ts'
import { temporaryFolder } from './this-run.ts'

test('an engine keeps its containers over a restart and a crash, and leaves nothing after stop', async () => {
  const folder = join(await temporaryFolder(), 'engine')
  await using network = await createNetwork('-engine')
  await using engine = await startEngine({ folder, prefix: network.prefix })

  await ensureBaseImage(engine.socketPath, 'rivetr-test/busybox')
  await runForever(engine)
  assert.notDeepEqual(
    cgroups(folder),
    [],
    'the container has a control group under the name that stop looks for',
  )

  await engine.restart()
  assert.equal(await runningContainers(engine), 1)

  await engine.kill()
  await assert.rejects(callEngine(engine.socketPath, { path: '/_ping' }))
  await engine.start()
  assert.equal(await runningContainers(engine), 1)

  await engine.stop()
  assert.deepEqual(await remains(folder), { processes: [], mounts: [], cgroups: [], folder: false })
})

test('an engine that crashed with a container running leaves nothing after stop', async () => {
  const folder = join(await temporaryFolder(), 'engine')
  await using network = await createNetwork('-crash')
  await using engine = await startEngine({ folder, prefix: network.prefix })
  await ensureBaseImage(engine.socketPath, 'rivetr-test/busybox')
  await runForever(engine)

  await engine.kill()
  assert.notDeepEqual(await processesOf(folder), [], 'the container outlives the daemon')
  await engine.stop()

  assert.deepEqual(await remains(folder), { processes: [], mounts: [], cgroups: [], folder: false })
})

test('the node image runs the Node of the tests, also as a user that is not root', async () => {
  const folder = join(await temporaryFolder(), 'engine')
  await using network = await createNetwork('-node')
  await using engine = await startEngine({ folder, prefix: network.prefix })

  await ensureBaseImage(engine.socketPath, 'rivetr-test/node')
  const id = await run(engine, {
    Image: 'rivetr-test/node',
    Cmd: ['node', '-p', 'process.version'],
    User: '1000',
    Tty: true,
  })
  await callEngine(engine.socketPath, { method: 'POST', path: `/containers/${id}/wait` })
  const logs = await callEngine(engine.socketPath, { path: `/containers/${id}/logs?stdout=1&stderr=1` })
  assert.equal(logs.body.trim(), process.version)
})

/** A container that ends when it is asked to, and comes back with the engine. */
async function runForever(engine: Engine): Promise<void> {
  const script = 'trap "exit 0" TERM; while :; do sleep 0.1; done'
  const HostConfig = { RestartPolicy: { Name: 'always' } }
  await run(engine, { Image: 'rivetr-test/busybox', Cmd: ['sh', '-c', script], HostConfig })
}

async function run(engine: Engine, container: object): Promise<string> {
  const created = await callEngine(engine.socketPath, {
    method: 'POST',
    path: '/containers/create',
    json: container,
  })
  const { Id } = JSON.parse(created.body) as { Id: string }
  const started = await callEngine(engine.socketPath, { method: 'POST', path: `/containers/${Id}/start` })
  assert.equal(started.status, 204, started.body)
  return Id
}

async function runningContainers(engine: Engine): Promise<number> {
  const list = await callEngine(engine.socketPath, { path: '/containers/json' })
  return (JSON.parse(list.body) as unknown[]).length
}

async function remains(folder: string) {
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')
  return {
    processes: await processesOf(folder),
    mounts: mounts.filter((line) => line.includes(folder)),
    cgroups: cgroups(folder),
    folder: existsSync(folder),
  }
}

function cgroups(folder: string): string[] {
  return globSync(`/sys/fs/cgroup/{,*/}${engineCgroup(folder)}`)
}

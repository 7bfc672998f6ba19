import assert from 'node:assert/strict'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import type { AppChange } from '@rivetr/sdk'
import { eventually } from '@rivetr/testing/suites/eventually'
import { ensureBaseImage } from '../machine/base-image.ts'
import { command } from '../machine/command.ts'
import { Load } from '../machine/load.ts'
import { Podman } from '../machine/podman.ts'
import { temporaryFolder } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'
import { type StageRuntime, stageRuntime } from '../stage/runtimes.ts'
import { Stage, type StageApp } from '../stage/stage.ts'

const host = 'shop.example.test'

interface Fault {
  readonly title: string
  readonly files?: () => Readonly<Record<string, string>>
  readonly settings?: Partial<AppChange>
  readonly step: string
  readonly says: RegExp
}

const name = 'harbour'

// On a machine where nobody serves Podman's API: Rivetr does.
describe('an app on the Podman that Rivetr serves itself', () => {
  let podman: Podman
  let runtime: StageRuntime
  let stage: Stage
  let app: StageApp
  const environment = { ...process.env }

  before(async () => {
    podman = await Podman.start()
    await ensureBaseImage(podman.socketPath, 'rivetr-test/node')
    await podman.halt()
    Object.assign(process.env, podman.env)
    runtime = await stageRuntime('docker')
    stage = await Stage.open({
      folder: await temporaryFolder(),
      config: { 'runtime-podman': { serve: true }, 'runtime-docker': { socket: '/no/such/docker.sock' } },
    })
    app = await stage.createApp(name, runtime.example, {
      routes: [{ host }],
      health: { kind: 'http', path: '/healthz', intervalMs: 200, deadlineMs: 6_000 },
    })
  })

  after(async () => {
    await stage?.[Symbol.asyncDispose]()
    for (const variable of Object.keys(podman?.env ?? {})) {
      if (environment[variable] === undefined) delete process.env[variable]
      else process.env[variable] = environment[variable]
    }
    await podman?.stop()
  })

  const pid = async () => {
    const { status, body } = await fetchHost(stage.rivetr.proxyPort, '/version')
    return status === 200 ? (JSON.parse(body) as { pid: number }).pid : undefined
  }

  test('is put there where it names no runtime and Podman is what there is', async () => {
    assert.equal((await stage.rivetr.client.apps.get(name)).runtime, 'podman')
    const deployment = await app.pushAndSettle({ ...runtime.files, 'version.txt': 'one' })
    assert.equal(deployment.state, 'live', deployment.reason)
    assert.notEqual(await pid(), undefined)
  })

  test('serves on while Rivetr is killed, and after it has started again', async () => {
    const load = new Load({ port: stage.rivetr.proxyPort, host, path: '/version', requestsPerSecond: 50 })
    const [before] = await replicas()
    const helpers = await nameServers()
    await stage.rivetr.kill()
    await load.more(50)
    await stage.rivetr.start()
    await load.more(50)
    const report = await load.stop()
    assert.deepEqual(report.failed, [])
    assert.deepEqual(await replicas(), [before])
    // What Podman started for the containers' network is not to be ended with Rivetr's own programs.
    assert.deepEqual(await nameServers(), helpers)
  })

  test('is started again by Rivetr when it ended: Podman keeps nothing', async () => {
    const [replica] = await appProcesses()
    assert.ok(replica !== undefined)
    process.kill(replica, 'SIGKILL')
    await eventually('another process', async () => {
      const [now] = await appProcesses()
      return now !== undefined && now !== replica ? now : undefined
    })
    await eventually('an answer', () => pid().catch(() => undefined), 60_000)
  })

  test('U14: ends the step of a build that is cancelled, and serves on', async () => {
    const step = 'RUN echo "under way" && sleep 613'
    const id = await app.push({
      Dockerfile: (runtime.files.Dockerfile ?? '').replace('COPY', `${step}\nCOPY`),
    })
    await eventually(
      'the step',
      async () => ((await processesOf('sleep', '613')).length > 0 ? true : undefined),
      60_000,
    )
    const { state } = await stage.rivetr.client.deployments.cancel(id)
    assert.equal(state, 'cancelled')
    assert.deepEqual(await processesOf('sleep', '613'), [])
    assert.notEqual(await pid(), undefined)
  })

  const dockerfile = () => runtime.files.Dockerfile ?? ''
  const running = (...words: string[]) => ({ processes: { web: { replicas: 1, command: words } } })
  const listensAt = (options: string) =>
    `require('http').createServer((q, r) => r.end()).listen(${options}, () => console.log('up'))\n`
  const faults: readonly Fault[] = [
    {
      title: 'B1: a release command that exits with 1',
      settings: { releaseCommand: ['sh', '-c', 'echo "no such column"; exit 1'] },
      step: 'prepare',
      says: /exit code 1[\s\S]*no such column/,
    },
    {
      title: 'B12 U9: a command that exits with 1',
      settings: running('sh', '-c', 'echo "cannot begin"; exit 1'),
      step: 'check',
      says: /exit code 1[\s\S]*cannot begin/,
    },
    {
      title: 'B12: a command that does not exist',
      settings: running('/nope'),
      step: 'check', // the init of the container is what starts, and tells
      says: /failed to exec pid1: No such file or directory/,
    },
    {
      title: 'G10: an app that listens on 127.0.0.1 only',
      files: () => ({ 'server.js': listensAt('process.env.PORT, "127.0.0.1"') }),
      step: 'check',
      says: /connection refused on .* \(on port 3000 it listens on 127\.0\.0\.1 only\)/,
    },
    {
      title: 'B1: a base image that cannot be had',
      files: () => ({ Dockerfile: 'FROM 127.0.0.1:9/nope:1\nCMD ["x"]\n' }),
      step: 'build',
      says: /nope|127\.0\.0\.1:9/,
    },
    {
      title: 'E1: a step that exits with 3',
      files: () => ({ Dockerfile: `${dockerfile()}RUN exit 3\n` }),
      step: 'build',
      says: /exit status 3|code: 3/,
    },
    {
      title: 'E1: a build target that is not there',
      settings: { builder: { target: 'nowhere' } },
      step: 'build',
      says: /nowhere/,
    },
  ]
  for (const { title, files, settings, step, says } of faults) {
    test(`${title} fails with its reason, and the old release answers from the same replica`, async () => {
      const before = await pid()
      const standing = await app.standing()
      const commit = await app.head()
      const nothing = { releaseCommand: null, processes: null, builder: null }
      await stage.rivetr.client.apps.update(name, { ...nothing, ...settings })
      const deployment = await app.pushAndSettle({
        ...runtime.files,
        'version.txt': title,
        ...files?.(),
      })
      await app.copy.git('checkout', '--quiet', commit, '--', '.')
      assert.equal(deployment.state, 'failed')
      assert.equal(deployment.error?.step, step, deployment.reason)
      assert.match([deployment.reason, ...deployment.lastLines].join('\n'), says)
      assert.equal(await pid(), before)
      assert.deepEqual(await app.standing(), standing)
    })
  }

  test('is stopped and started, and leaves nothing when it is deleted', async () => {
    const held = async (...what: string[]) =>
      (
        await command(['podman', ...what, '--quiet', '--filter', 'label=rivetr.app'], { env: podman.env })
      ).trim()
    const { client } = stage.rivetr
    await client.apps.update(name, { releaseCommand: null, processes: null, builder: null })
    await client.apps.stop(name)
    await eventually('the end of all', async () => (await held('ps', '--all')) === '' || undefined, 60_000)
    const started = await app.settled((await client.apps.start(name)).id)
    assert.equal(started.state, 'live', started.reason)
    assert.notEqual(await pid(), undefined)
    assert.notEqual(await held('images'), '')
    await client.apps.remove(name)
    assert.equal(await held('ps', '--all'), '')
    assert.equal(await held('images'), '')
  })

  async function replicas(): Promise<object[]> {
    const { items } = await stage.rivetr.client.apps.deployments(name)
    return items.flatMap(({ replicas: all }) => all)
  }
})

/** Of this test alone: other tests run the same example. */
async function appProcesses(): Promise<number[]> {
  const pids = await processesOf('node', 'server.js')
  const ours = await Promise.all(
    pids.map(async (pid) =>
      (await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')).includes(`RIVETR_APP=${name}\0`),
    ),
  )
  return pids.filter((_, index) => ours[index])
}

/** In the network namespace of this test. */
async function nameServers(): Promise<number[]> {
  const pids = await processesOf('/usr/lib/podman/aardvark-dns')
  const namespaceOf = (pid: number | 'self') => readlink(`/proc/${pid}/ns/net`).catch(() => '')
  const own = await namespaceOf('self')
  const namespaces = await Promise.all(pids.map(namespaceOf))
  return pids.filter((_, index) => namespaces[index] === own)
}

/** Processes of this machine, containers' too, with these arguments. */
async function processesOf(...wanted: string[]): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const found = await Promise.all(
    pids.map(async (pid) => {
      const args = (await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')).split('\0')
      return wanted.every((one) => args.some((arg) => arg.endsWith(one)))
    }),
  )
  return pids.filter((_, index) => found[index]).map(Number)
}

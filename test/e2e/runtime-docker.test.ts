import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import {
  containerName,
  containerSpec,
  docker,
  Engine,
  EngineImages,
  EngineRuntime,
  engineAddress,
  labels,
} from '@rivetr/engine-api'
import { type Endpoint, type ImageInfo, type ReplicaSpec, RivetrError, type RuntimeEvent } from '@rivetr/sdk'
import { builderSuite } from '@rivetr/testing/suites/builder'
import { eventually } from '@rivetr/testing/suites/eventually'
import { imagesSuite } from '@rivetr/testing/suites/images'
import { runtimeSuite } from '@rivetr/testing/suites/runtime'
import { DockerfileBuilder } from '../../plugins/builder-dockerfile/builder.ts'
import { dockerSettings } from '../../plugins/runtime-docker/settings.ts'
import { ensureBaseImage } from '../machine/base-image.ts'
import { EngineByHand } from '../machine/engine-by-hand.ts'
import { EngineRelay } from '../machine/engine-relay.ts'
import { temporaryFolder, thisRunsEngine } from '../machine/this-run.ts'

const { socketPath } = thisRunsEngine()
const engine = new Engine('Docker', engineAddress(socketPath))
const hand = new EngineByHand(engine, docker, socketPath)
const settings = dockerSettings.parse({})
const busybox = 'rivetr-test/busybox'

function runtimeOf(of: Engine, instance: string, changed = settings): EngineRuntime {
  return new EngineRuntime(of, instance, changed, docker)
}

runtimeSuite('docker', {
  capabilities: ['exec', 'terminal', 'stats', 'limits', 'oom', 'logs', 'watch', 'keep'],
  open: async () => {
    const images = new EngineImages(engine, 'suite', docker)
    const { id } = await hand.buildApp(images)
    return {
      runtime: runtimeOf(engine, 'suite'),
      other: runtimeOf(engine, 'somebody-else'),
      artefact: { kind: 'oci', image: id },
      command: (...args) => ['node', '/app/runtime-app.mjs', ...args],
      close: async () => {
        await images.remove(id)
        await hand.removeNetworks('suite', 'somebody-else')
      },
    }
  },
})

imagesSuite('docker', { open: () => hand.imagesSubject() })

describe('images of docker', () => {
  it('leave a container alone that a failed build only names', async () => {
    await ensureBaseImage(socketPath, busybox)
    const folder = await temporaryFolder()
    const { Id } = await hand.create({ Image: busybox, Cmd: ['true'] })
    try {
      const steps = `RUN echo ' ---> Running in ${Id.slice(0, 12)}'; exit 3\n`
      await writeFile(join(folder, 'Dockerfile'), `FROM ${busybox}\n${steps}`)
      const building = new EngineImages(engine, 'suite', docker).build({
        folder,
        dockerfile: 'Dockerfile',
        tag: `rivetr-suite:${randomUUID()}`,
        labels: {},
        args: {},
        onLine: () => {},
        signal: limit(),
      })
      await assert.rejects(building, { code: 'build_failed' })
      assert.notEqual(await engine.call({ method: 'GET', path: `/containers/${Id}/json` }), undefined)
    } finally {
      await hand.removeContainer(Id)
    }
  })
})

builderSuite('dockerfile on docker', {
  leadingOut: { builder: { dockerfile: '../Dockerfile' } },
  open: async () => {
    await ensureBaseImage(socketPath, busybox)
    const images = new EngineImages(engine, 'suite', docker)
    return {
      builder: new DockerfileBuilder((runtime) => (runtime === 'docker' ? images : undefined)),
      runtime: 'docker',
      samples: {
        buildable: {
          files: { Dockerfile: `FROM ${busybox}\nEXPOSE 8080\nCOPY index.html /\n`, 'index.html': 'hello' },
          result: { processes: { web: {} }, port: 8080 },
        },
        failing: {
          files: { 'build/Dockerfile': `FROM ${busybox}\nRUN echo no such module; exit 2\n` },
          settings: { builder: { dockerfile: 'build/Dockerfile' } },
          lastLine: 'no such module',
        },
        slow: { files: { Dockerfile: `FROM ${busybox}\nRUN echo building; sleep 600\n` } },
        wantedFile: 'Dockerfile',
      },
      holdings: () => hand.holdings(),
      remove: (artefact) => images.remove(artefact.kind === 'oci' ? artefact.image : ''),
      close: async () => {},
    }
  },
})

describe('builder-dockerfile', () => {
  it('U24: passes declared ARGs, never a secret, and says so', async () => {
    await ensureBaseImage(socketPath, busybox)
    const images = new EngineImages(engine, 'suite', docker)
    const folder = await mkdtemp(join(tmpdir(), 'rivetr-args-'))
    try {
      const steps = 'ARG GREETING\nARG TOKEN=none\nRUN echo "$GREETING, token $TOKEN, other $OTHER" > /said\n'
      await writeFile(join(folder, 'Dockerfile'), `FROM ${busybox}\n${steps}`)
      const lines: string[] = []
      const { artefact } = await new DockerfileBuilder(() => images).build({
        deployment: randomUUID(),
        app: { id: 'app-1', name: 'shop' },
        tree: { folder },
        settings: {},
        runtime: 'docker',
        env: {
          GREETING: { value: `it's "you"`, secret: false },
          TOKEN: { value: 'canary-6f1d', secret: true },
          OTHER: { value: 'undeclared', secret: false },
        },
        artefactFolder: join(folder, 'never'),
        labels: {},
        onLine: (line) => lines.push(line),
        signal: AbortSignal.timeout(60_000),
      })
      assert.ok(artefact.kind === 'oci')
      assert.equal(await hand.print(artefact.image, ['cat', '/said']), `it's "you", token none, other \n`)
      assert.ok(
        lines.some((line) => line.startsWith('ARG TOKEN is not set')),
        lines.join('\n'),
      )
      const history = await engine.call<object>({ method: 'GET', path: `/images/${artefact.image}/history` })
      assert.doesNotMatch(JSON.stringify(history) + lines.join('\n'), /canary-6f1d|undeclared/)
      await images.remove(artefact.image)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})

describe('runtime-docker', () => {
  const instance = 'own'
  const runtime = runtimeOf(engine, instance)
  const images = new EngineImages(engine, instance, docker)
  let app: ImageInfo
  const made: string[] = []

  before(async () => {
    app = await hand.buildApp(images)
  })

  after(async () => {
    for (const id of made) await runtime.remove(id)
    await images.remove(app.id)
    await hand.removeNetworks(instance)
  })

  function spec(endpoint?: Endpoint, command: string[] = ['node', '/app/runtime-app.mjs']): ReplicaSpec {
    const id = randomUUID()
    made.push(id)
    return {
      id,
      app: { id: 'app-1', name: 'shop' },
      deployment: 'deployment-1',
      release: 3,
      artefact: { kind: 'oci', image: app.id },
      run: { process: 'web', replicas: 1, command, port: 3000, limits: {}, stopTimeoutMs: 5_000 },
      env: { PORT: String(endpoint?.port), APP_NAME: 'shop' },
      endpoint,
    }
  }

  const find = async (id: string) => (await runtime.list(limit())).find((replica) => replica.id === id)

  it('B9: starts a container that was made and never started', async () => {
    const endpoint = await runtime.allot({ port: 3000, taken: [] })
    const replica = spec(endpoint)
    const placement = { instance, network: `rivetr-${instance}`, reach: 'bridge' } as const
    await hand.create(containerSpec(replica, placement, settings), containerName(replica))
    assert.equal((await find(replica.id))?.running, false)
    assert.equal((await find(replica.id))?.exit, undefined)
    await runtime.start(replica, limit())
    assert.equal(await answer(endpoint), 'hello from shop')
    assert.equal((await runtime.list(limit())).filter(({ id }) => id === replica.id).length, 1)
  })

  it('leaves no container of a start that was taken back while the engine made it', async () => {
    await using relay = await EngineRelay.open(await temporaryFolder(), socketPath)
    const slow = runtimeOf(new Engine('Docker', engineAddress(relay.socketPath)), instance)
    const cancel = new AbortController()
    const replica = spec()
    relay.keepBack(/^POST \S+\/containers\/create/)
    const starting = slow.start(replica, cancel.signal)
    starting.catch(() => undefined)
    await relay.answered()
    cancel.abort(new RivetrError('cancelled', 'taken back'))
    relay.release()
    await assert.rejects(starting, { code: 'cancelled' })
    assert.equal(await find(replica.id), undefined)
  })

  for (const tty of [true, false]) {
    it(`G2: reads the log of a container ${tty ? 'with' : 'without'} a terminal byte by byte`, async () => {
      const replica = spec()
      const script = `printf 'first one\\nh\\303'; sleep 0.2; printf '\\251\\nlast\\n'; echo other >&2`
      const labelled = { [labels.instance]: instance, [labels.replica]: replica.id }
      const Cmd = ['sh', '-c', script]
      const { Id } = await hand.create({ Image: app.id, Entrypoint: [], Cmd, Tty: tty, Labels: labelled })
      await engine.call({ method: 'POST', path: `/containers/${Id}/start` })
      const lines: string[] = []
      for await (const { stream, text } of runtime.logs(replica.id, { follow: true, signal: limit() }))
        lines.push(`${stream} ${text}`)
      const printed = ['stdout first one', 'stdout hé', 'stdout last', `${tty ? 'stdout' : 'stderr'} other`]
      assert.deepEqual(lines.sort(), printed.sort())
    })
  }

  it('G4: tells what ended, began and began anew while the connection to the engine was cut', async () => {
    await using relay = await EngineRelay.open(await temporaryFolder(), socketPath)
    const behind = new Engine('Docker', engineAddress(relay.socketPath))
    const watched = runtimeOf(behind, instance)
    const waiting = ['node', '/app/runtime-app.mjs', 'wait']
    const [ends, stays, begins, again] = [0, 1, 2, 3].map(() => spec(undefined, waiting)) as [
      ReplicaSpec,
      ReplicaSpec,
      ReplicaSpec,
      ReplicaSpec,
    ]
    for (const replica of [ends, stays, again]) await runtime.start(replica, limit())
    const stop = new AbortController()
    const events: string[] = []
    const names = new Map([
      [ends.id, 'ends'],
      [stays.id, 'stays'],
      [begins.id, 'begins'],
      [again.id, 'again'],
    ])
    const watching = (async () => {
      for await (const { kind, replica } of watched.watch(stop.signal))
        events.push(`${names.get(replica)} ${kind}`)
    })()
    const eventsLine = /^GET \S+\/events/
    const canary = spec(undefined, ['node', '/app/runtime-app.mjs', 'exit', '0'])
    names.set(canary.id, 'canary')
    const hear = () =>
      eventually('the canary', async () => {
        await runtime.run(canary, { onLine: () => {}, signal: limit() })
        return events.includes('canary exited') || undefined
      })
    await hear()

    relay.cut(eventsLine)
    await runtime.stop(ends.id, { timeoutMs: 0 })
    await runtime.start(begins, limit())
    await runtime.stop(again.id, { timeoutMs: 0 })
    await runtime.start(again, limit())
    events.length = 0
    relay.open()
    await hear()
    assert.deepEqual(events.filter((event) => !event.startsWith('canary')).sort(), [
      'again exited',
      'again started',
      'begins started',
      'ends exited',
    ])

    // An idle limit of whoever stands between: the next connection has nothing to tell.
    events.length = 0
    relay.cut(eventsLine)
    relay.open()
    await hear()
    assert.deepEqual(
      events.filter((event) => !event.startsWith('canary')),
      [],
    )
    stop.abort()
    await watching
  })

  it('says what is wrong when the endpoint is not free', async () => {
    const endpoint = await runtime.allot({ port: 3000, taken: [] })
    await runtime.start(spec(endpoint), limit())
    await assert.rejects(runtime.start(spec(endpoint), limit()), { code: 'unavailable', message: /endpoint/ })
  })

  it('G8: what a start has left that found its port taken is in nobody’s way, once the port is free', async () => {
    const byLoopback = runtimeOf(engine, instance, { ...settings, reach: 'loopback' })
    const endpoint = await byLoopback.allot({ port: 3000, taken: [] })
    const holder = createServer().listen(endpoint.port, endpoint.address)
    await once(holder, 'listening')
    const replica = spec(endpoint)
    try {
      await assert.rejects(byLoopback.start(replica, limit()), {
        code: 'unavailable',
        message: new RegExp(
          `node \\(process ${process.pid}\\) holds it.*${endpoint.address}:${endpoint.port}`,
        ),
      })
      assert.equal((await find(replica.id))?.running, false)
    } finally {
      holder.close()
    }
    await byLoopback.start(replica, limit())
    assert.equal(await answer(endpoint), 'hello from shop')
    await byLoopback.remove(replica.id)
    const again = spec(endpoint)
    await byLoopback.start(again, limit())
    assert.equal(await answer(endpoint), 'hello from shop')
  })

  it('says what is wrong when the image is gone', async () => {
    const lost = { ...spec(), artefact: { kind: 'oci', image: `sha256:${'0'.repeat(64)}` } } as const
    await assert.rejects(runtime.start(lost, limit()), { code: 'replica_failed', message: /no such image/i })
  })

  it('G8: leaves a foreign container alone that has the name of a replica, and says so', async () => {
    const replica = spec()
    const { Id } = await hand.create({ Image: app.id, Cmd: ['true'] }, containerName(replica))
    await assert.rejects(runtime.start(replica, limit()), {
      code: 'conflict',
      message: new RegExp(`not of this Rivetr has the name ${containerName(replica)}: .*${Id}`),
    })
    await runtime.remove(replica.id)
    assert.notEqual(await engine.call({ method: 'GET', path: `/containers/${Id}/json` }), undefined)
    await hand.removeContainer(Id)
  })

  it('U38: publishes nothing on the bridge, and keeps replicas apart', async () => {
    const [first, second] = [
      spec(await runtime.allot({ port: 3000, taken: [] })),
      spec(await runtime.allot({ port: 3000, taken: [] })),
    ]
    await runtime.start(first, limit())
    await runtime.start(second, limit())
    if (first.endpoint === undefined) throw new Error('no endpoint')
    await answer(first.endpoint)
    const [container] = await engine.call<{ Ports: unknown[] }[]>({
      method: 'GET',
      path: '/containers/json',
      query: { filters: JSON.stringify({ label: [`${labels.replica}=${first.id}`] }) },
    })
    assert.deepEqual(
      (container?.Ports ?? []).filter((port) => JSON.stringify(port).includes('PublicPort')),
      [],
    )
    const script = `fetch('http://${first.endpoint.address}:3000', { signal: AbortSignal.timeout(1500) }).then(() => process.exit(0), () => process.exit(5))`
    assert.equal((await runtime.exec(second.id, ['node', '-e', script], limit())).exitCode, 5)
  })

  it('gives a fixed port of the loopback where the bridge is out of reach', async () => {
    const byLoopback = runtimeOf(engine, instance, { ...settings, reach: 'loopback' })
    const taken = [await byLoopback.allot({ port: 3000, taken: [] })]
    const endpoint = await byLoopback.allot({ port: 3000, taken })
    assert.equal(endpoint.address, '127.0.0.1')
    assert.notEqual(endpoint.port, taken[0]?.port)
    const replica = spec(endpoint)
    await byLoopback.start(replica, limit())
    assert.equal(await answer(endpoint), 'hello from shop')
    assert.deepEqual((await find(replica.id))?.endpoint, endpoint)
  })

  it('makes its network once, however many replicas are the first, and removes what a killed Rivetr left', async () => {
    for (const id of made) await runtime.remove(id)
    await hand.removeNetworks(instance)
    const name = `rivetr-${instance}`
    const json = { Name: `${name}-range`, Driver: 'bridge', Labels: { [labels.instance]: instance } }
    await engine.call({ method: 'POST', path: '/networks/create', json })
    await Promise.all(Array.from({ length: 6 }, () => runtime.allot({ port: 3000, taken: [] })))
    const networks = await engine.call<{ Name: string }[]>({ method: 'GET', path: '/networks' })
    assert.deepEqual(
      networks.map(({ Name }) => Name).filter((other) => other.startsWith(name)),
      [name],
    )
  })

  it('makes its network again when somebody has removed it', async () => {
    for (const id of made) await runtime.remove(id)
    await hand.removeNetworks(instance)
    const endpoint = await runtime.allot({ port: 3000, taken: [] })
    await runtime.start(spec(endpoint), limit())
    assert.equal(await answer(endpoint), 'hello from shop')
  })

  it('B6: keeps endpoints over a restart of the engine, starts nothing by itself, and tells what ended', async () => {
    const byLoopback = runtimeOf(engine, instance, { ...settings, reach: 'loopback' })
    const started = []
    for (const by of [runtime, byLoopback]) {
      const endpoint = await by.allot({ port: 3000, taken: [] })
      const replica = spec(endpoint)
      await by.start(replica, limit())
      await answer(endpoint)
      started.push({ by, endpoint, replica })
    }
    const stop = new AbortController()
    const events: RuntimeEvent[] = []
    const watching = (async () => {
      for await (const event of runtime.watch(stop.signal)) events.push(event)
    })()
    const canary = spec(undefined, ['node', '/app/runtime-app.mjs', 'exit', '0'])
    await eventually('the watcher', async () => {
      await runtime.run(canary, { onLine: () => {}, signal: limit() })
      return events.length > 0 || undefined
    })

    await thisRunsEngine().restart()

    for (const { replica } of started)
      await eventually('the end of the replica', () =>
        events.find((event) => event.replica === replica.id && event.kind === 'exited'),
      )
    stop.abort()
    await watching
    // In the other order: an engine that gave addresses and ports by itself would swap them.
    for (const { by, endpoint, replica } of started.toReversed()) {
      assert.equal((await find(replica.id))?.running, false)
      for (let count = 0; count < 3; count++)
        assert.notDeepEqual(await by.allot({ port: 3000, taken: [] }), endpoint)
      await by.start(replica, limit())
      assert.equal(await answer(endpoint), 'hello from shop')
      assert.deepEqual((await find(replica.id))?.endpoint, endpoint)
    }
  })

  it('says that an engine is not there, and works with it once it is', async () => {
    const missing = runtimeOf(new Engine('Docker', engineAddress('/no/such/docker.sock')), instance)
    const detection = await missing.detect(limit())
    assert.equal(detection.available, false)
    assert.match(
      detection.reason,
      /Docker at unix:\/\/\/no\/such\/docker.sock does not answer: there is no such socket/,
    )
    await assert.rejects(missing.list(limit()), { code: 'unavailable' })
  })
})

/** What the app answers, once it listens. */
function answer({ address, port }: Endpoint): Promise<string> {
  return eventually('an answer', async () => {
    const signal = AbortSignal.timeout(5_000)
    const response = await fetch(`http://${address}:${port}/`, { signal }).catch(() => undefined)
    return response?.text()
  })
}

function limit(): AbortSignal {
  return AbortSignal.timeout(60_000)
}

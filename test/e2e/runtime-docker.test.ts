import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Engine, EngineImages, engineAddress, labels, unless } from '@rivetr/engine-api'
import type { Endpoint, ImageInfo, ReplicaSpec, RuntimeEvent } from '@rivetr/sdk'
import { builderSuite } from '@rivetr/testing/suites/builder'
import { eventually } from '@rivetr/testing/suites/eventually'
import { imagesSuite } from '@rivetr/testing/suites/images'
import { runtimeSuite } from '@rivetr/testing/suites/runtime'
import { DockerfileBuilder } from '../../plugins/builder-dockerfile/builder.ts'
import { containerName, containerSpec } from '../../plugins/runtime-docker/container-spec.ts'
import { DockerRuntime } from '../../plugins/runtime-docker/runtime.ts'
import { dockerSettings } from '../../plugins/runtime-docker/settings.ts'
import { ensureBaseImage } from '../machine/base-image.ts'
import { thisRunsEngine } from '../machine/this-run.ts'

const { socketPath } = thisRunsEngine()
const engine = new Engine('Docker', engineAddress(socketPath))
const settings = dockerSettings.parse({})
const busybox = 'rivetr-test/busybox'

runtimeSuite('docker', {
  capabilities: ['exec', 'stats', 'limits', 'logs', 'watch', 'keep'],
  open: async () => {
    const images = new EngineImages(engine, 'suite')
    const { id } = await buildApp(images)
    return {
      runtime: new DockerRuntime(engine, 'suite', settings),
      other: new DockerRuntime(engine, 'somebody-else', settings),
      artefact: { kind: 'oci', image: id },
      command: (...args) => ['node', '/app/runtime-app.mjs', ...args],
      close: async () => {
        await images.remove(id)
        await removeNetworks('suite', 'somebody-else')
      },
    }
  },
})

imagesSuite('docker', {
  open: async () => {
    await ensureBaseImage(socketPath, busybox)
    return {
      images: new EngineImages(engine, 'suite'),
      other: new EngineImages(engine, 'somebody-else'),
      base: busybox,
      print,
      labelsOf: async (image) => {
        const path = `/images/${image}/json`
        return (await engine.call<{ Config: { Labels: Record<string, string> } }>({ method: 'GET', path }))
          .Config.Labels
      },
      use: async (Image) => {
        const { Id } = await create({ Image, Cmd: ['true'] })
        return () => removeContainer(Id)
      },
      holdings,
      close: async () => {},
    }
  },
})

builderSuite('dockerfile on docker', {
  leadingOut: { builder: { dockerfile: '../Dockerfile' } },
  open: async () => {
    await ensureBaseImage(socketPath, busybox)
    const images = new EngineImages(engine, 'suite')
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
      holdings,
      remove: (artefact) => images.remove(artefact.kind === 'oci' ? artefact.image : ''),
      close: async () => {},
    }
  },
})

describe('builder-dockerfile', () => {
  it('U24: passes declared ARGs, never a secret, and says so', async () => {
    await ensureBaseImage(socketPath, busybox)
    const images = new EngineImages(engine, 'suite')
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
      assert.equal(await print(artefact.image, ['cat', '/said']), `it's "you", token none, other \n`)
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
  const runtime = new DockerRuntime(engine, instance, settings)
  const images = new EngineImages(engine, instance)
  let app: ImageInfo
  const made: string[] = []

  before(async () => {
    app = await buildApp(images)
  })

  after(async () => {
    for (const id of made) await runtime.remove(id)
    await images.remove(app.id)
    await removeNetworks(instance)
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
    await create(containerSpec(replica, placement, settings), containerName(replica))
    assert.equal((await find(replica.id))?.running, false)
    assert.equal((await find(replica.id))?.exit, undefined)
    await runtime.start(replica, limit())
    assert.equal(await answer(endpoint), 'hello from shop')
    assert.equal((await runtime.list(limit())).filter(({ id }) => id === replica.id).length, 1)
  })

  it('says what is wrong when the endpoint is not free', async () => {
    const endpoint = await runtime.allot({ port: 3000, taken: [] })
    await runtime.start(spec(endpoint), limit())
    await assert.rejects(runtime.start(spec(endpoint), limit()), { code: 'unavailable', message: /endpoint/ })
  })

  it('says what is wrong when the image is gone', async () => {
    const lost = { ...spec(), artefact: { kind: 'oci', image: `sha256:${'0'.repeat(64)}` } } as const
    await assert.rejects(runtime.start(lost, limit()), { code: 'replica_failed', message: /no such image/i })
  })

  it('leaves a foreign container alone that has the name of a replica', async () => {
    const replica = spec()
    const { Id } = await create({ Image: app.id, Cmd: ['true'] }, containerName(replica))
    await assert.rejects(runtime.start(replica, limit()), { code: 'conflict' })
    await runtime.remove(replica.id)
    assert.notEqual(await engine.call({ method: 'GET', path: `/containers/${Id}/json` }), undefined)
    await removeContainer(Id)
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
    const byLoopback = new DockerRuntime(engine, instance, { ...settings, reach: 'loopback' })
    const taken = [await byLoopback.allot({ port: 3000, taken: [] })]
    const endpoint = await byLoopback.allot({ port: 3000, taken })
    assert.equal(endpoint.address, '127.0.0.1')
    assert.notEqual(endpoint.port, taken[0]?.port)
    const replica = spec(endpoint)
    await byLoopback.start(replica, limit())
    assert.equal(await answer(endpoint), 'hello from shop')
    assert.deepEqual((await find(replica.id))?.endpoint, endpoint)
  })

  it('makes its network again when somebody has removed it', async () => {
    for (const id of made) await runtime.remove(id)
    await removeNetworks(instance)
    const endpoint = await runtime.allot({ port: 3000, taken: [] })
    await runtime.start(spec(endpoint), limit())
    assert.equal(await answer(endpoint), 'hello from shop')
  })

  it('B6: keeps endpoints over a restart of the engine, starts nothing by itself, and tells what ended', async () => {
    const endpoint = await runtime.allot({ port: 3000, taken: [] })
    const replica = spec(endpoint)
    await runtime.start(replica, limit())
    await answer(endpoint)
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

    await eventually('the end of the replica', () =>
      events.find((event) => event.replica === replica.id && event.kind === 'exited'),
    )
    stop.abort()
    await watching
    assert.equal((await find(replica.id))?.running, false)
    for (let count = 0; count < 3; count++)
      assert.notDeepEqual(await runtime.allot({ port: 3000, taken: [] }), endpoint)
    await runtime.start(replica, limit())
    assert.equal(await answer(endpoint), 'hello from shop')
    assert.deepEqual((await find(replica.id))?.endpoint, endpoint)
  })

  it('says that an engine is not there, and works with it once it is', async () => {
    const missing = new DockerRuntime(
      new Engine('Docker', engineAddress('/no/such/docker.sock')),
      instance,
      settings,
    )
    const detection = await missing.detect(limit())
    assert.equal(detection.available, false)
    assert.match(
      detection.reason,
      /Docker at unix:\/\/\/no\/such\/docker.sock does not answer: there is no such socket/,
    )
    await assert.rejects(missing.list(limit()), { code: 'unavailable' })
  })
})

async function buildApp(images: EngineImages): Promise<ImageInfo> {
  await ensureBaseImage(socketPath, 'rivetr-test/node')
  const folder = await mkdtemp(join(tmpdir(), 'rivetr-app-'))
  try {
    const source = new URL('../../lib/testing/suites/runtime-app.mjs', import.meta.url)
    await copyFile(source, join(folder, 'runtime-app.mjs'))
    await writeFile(join(folder, 'Dockerfile'), 'FROM rivetr-test/node\nCOPY runtime-app.mjs /app/\n')
    return await images.build({
      folder,
      dockerfile: 'Dockerfile',
      tag: `rivetr-suite:${randomUUID()}`,
      labels: {},
      args: {},
      onLine: () => {},
      signal: limit(),
    })
  } finally {
    await rm(folder, { recursive: true })
  }
}

function create(json: object, name?: string): Promise<{ Id: string }> {
  const query = name === undefined ? {} : { name }
  return engine.call({ method: 'POST', path: '/containers/create', query, json })
}

async function removeContainer(id: string): Promise<void> {
  await engine.call({ method: 'DELETE', path: `/containers/${id}`, query: { force: 1, v: 1 } })
}

async function removeNetworks(...instances: string[]): Promise<void> {
  for (const instance of instances)
    await unless([404], engine.call({ method: 'DELETE', path: `/networks/rivetr-${instance}` }))
}

/** By Docker's own framing, once it has ended. */
async function print(Image: string, Cmd: readonly string[]): Promise<string> {
  const { Id } = await create({ Image, Entrypoint: Cmd, Cmd: [], Tty: true })
  try {
    await engine.call({ method: 'POST', path: `/containers/${Id}/start` })
    await engine.call({ method: 'POST', path: `/containers/${Id}/wait` })
    const stream = await engine.stream({
      method: 'GET',
      path: `/containers/${Id}/logs`,
      query: { stdout: 1 },
    })
    let text = ''
    for await (const chunk of stream) text += chunk
    return text.replaceAll('\r\n', '\n')
  } finally {
    await removeContainer(Id)
  }
}

async function holdings(): Promise<string[]> {
  const query = { all: 1 }
  const containers = await engine.call<{ Id: string }[]>({ method: 'GET', path: '/containers/json', query })
  const layers = await engine.call<{ Id: string }[]>({ method: 'GET', path: '/images/json', query })
  return [...containers, ...layers].map(({ Id }) => Id).sort()
}

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

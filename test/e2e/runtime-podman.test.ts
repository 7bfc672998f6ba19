import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { podman as dialect, Engine, EngineImages, EngineRuntime, engineAddress } from '@rivetr/engine-api'
import type { Endpoint, Logger } from '@rivetr/sdk'
import { parentId, parentVariable } from '@rivetr/sdk/kit'
import { eventually } from '@rivetr/testing/suites/eventually'
import { imagesSuite } from '@rivetr/testing/suites/images'
import { runtimeSuite } from '@rivetr/testing/suites/runtime'
import { PodmanService } from '../../plugins/runtime-podman/service.ts'
import { podmanSettings } from '../../plugins/runtime-podman/settings.ts'
import { EngineByHand } from '../machine/engine-by-hand.ts'
import { Podman } from '../machine/podman.ts'
import { temporaryFolder } from '../machine/this-run.ts'

const settings = podmanSettings.parse({})
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent }
let podman: Podman
let engine: Engine
let hand: EngineByHand

before(async () => {
  podman = await Podman.start()
  engine = new Engine('Podman', engineAddress(podman.socketPath))
  hand = new EngineByHand(engine, dialect, podman.socketPath)
})

after(() => podman.stop())

runtimeSuite('podman', {
  capabilities: ['exec', 'terminal', 'stats', 'limits', 'logs', 'watch'],
  open: async () => {
    const images = new EngineImages(engine, 'suite', dialect)
    const { id } = await hand.buildApp(images)
    return {
      runtime: new EngineRuntime(engine, 'suite', settings, dialect),
      other: new EngineRuntime(engine, 'somebody-else', settings, dialect),
      artefact: { kind: 'oci', image: id },
      command: (...args) => ['node', '/app/runtime-app.mjs', ...args],
      close: async () => {
        await images.remove(id)
        await hand.removeNetworks('suite', 'somebody-else')
      },
    }
  },
})

imagesSuite('podman', { open: () => hand.imagesSubject() })

describe('runtime-podman', () => {
  const signal = () => AbortSignal.timeout(60_000)

  it('serves the API itself where nobody does, and again after that was killed; replicas need neither', async () => {
    await using own = await Podman.prepare()
    const before = { ...process.env }
    Object.assign(process.env, own.env)
    const folder = await temporaryFolder()
    const service = new PodmanService({ serve: true }, folder, silent)
    try {
      const served = new Engine('Podman', service.address, () => service.ensure())
      const runtime = new EngineRuntime(served, 'own', settings, dialect)
      assert.match((await runtime.detect(signal())).reason, /^Podman \d.* at unix:\/\/.*podman\.sock$/)
      const [first, ...others] = servicesIn(folder)
      assert.ok(first !== undefined && others.length === 0)
      const images = new EngineImages(served, 'own', dialect)
      const byHand = new EngineByHand(served, dialect, join(folder, 'podman.sock'))
      const replica = spec((await byHand.buildApp(images)).id, await runtime.allot({ port: 3000, taken: [] }))
      await runtime.start(replica, signal())
      await answers(replica.endpoint)

      process.kill(first, 'SIGKILL')
      await eventually('another service', async () =>
        (await runtime.detect(signal())).available ? true : undefined,
      )
      assert.equal(servicesIn(folder).length, 1)
      const [found] = await runtime.list(signal())
      assert.equal(found?.running, true)
      assert.deepEqual(found.endpoint, replica.endpoint)
      // A Rivetr that starts ends the programs of the one before: nothing that replicas live by may be among them.
      assert.deepEqual(programsOf(parentId), [])

      await service.stop()
      assert.equal((await runtime.detect(signal())).available, false)
      await answers(replica.endpoint)
    } finally {
      await service.stop()
      for (const name of Object.keys(own.env)) {
        if (before[name] === undefined) delete process.env[name]
        else process.env[name] = before[name]
      }
    }
  })

  it('says that there is no Podman', async () => {
    const service = new PodmanService({ serve: false }, await temporaryFolder(), silent)
    const runtime = new EngineRuntime(new Engine('Podman', service.address), 'own', settings, dialect)
    const { available, reason } = await runtime.detect(signal())
    assert.equal(available, false)
    assert.match(reason, /^Podman at unix:\/\/.*podman\.sock does not answer: there is no such socket/)
  })
})

function spec(image: string, endpoint: Endpoint) {
  return {
    id: '0190a3c4-2222-7000-8000-0123456789ab',
    app: { id: 'app-1', name: 'shop' },
    deployment: 'd1',
    release: 1,
    artefact: { kind: 'oci', image },
    run: {
      process: 'web',
      replicas: 1,
      port: endpoint.port,
      limits: {},
      stopTimeoutMs: 5_000,
      command: ['node', '/app/runtime-app.mjs'],
    },
    env: { PORT: String(endpoint.port) },
    endpoint,
  } as const
}

function answers({ address, port }: Endpoint): Promise<true> {
  return eventually('an answer', () =>
    fetch(`http://${address}:${port}/`, { signal: AbortSignal.timeout(60_000) }).then(
      (response) => response.ok || undefined,
      () => undefined,
    ),
  )
}

/** Programs that serve on a socket in the folder. */
function servicesIn(folder: string): number[] {
  return processesWhose('cmdline', (arguments_) => arguments_.includes(`unix://${folder}/`))
}

/** As the next Rivetr would find them. */
function programsOf(parent: string): number[] {
  return processesWhose('environ', (environment) => environment.includes(`${parentVariable}=${parent}`))
}

function processesWhose(file: 'cmdline' | 'environ', holds: (content: string) => boolean): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return holds(readFileSync(`/proc/${pid}/${file}`, 'latin1'))
      } catch {
        return false // it has just ended
      }
    })
    .map(Number)
}

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import type { EdgeContribution, EdgeTapStats } from '@rivetr/sdk'
import { eventually } from '@rivetr/testing/suites/eventually'
import { TestProxy } from '../test-proxy.ts'

const good = `
  request: ({ path }) => path === '/no' ? { answer: { status: 403, body: 'closed' } } : { headers: { 'X-Tap': 'yes' } },
  response: () => ({ headers: { 'X-Edge': 'tapped' } }),`
const hanging = "request: ({ path }) => { while (path === '/hang'); },"
const crashing = "request: ({ path }) => { if (path === '/crash') process.exit(3) },"

describe('taps of plugins', { timeout: 120_000 }, () => {
  let app: Server
  /** Edges run as another user, who must be able to read it: not a folder of this run's own. */
  let folder: string
  let proxy: TestProxy
  let url: string

  before(async () => {
    app = createServer((req, res) => res.end(`tap: ${req.headers['x-tap']}`)).listen(0, '127.0.0.1')
    await once(app, 'listening')
    folder = await mkdtemp('/tmp/rivetr-taps-')
    await chmod(folder, 0o755)
  })
  after(async () => {
    app.close()
    app.closeAllConnections()
    await rm(folder, { recursive: true, force: true })
  })
  afterEach(() => proxy.close())

  async function contribution(plugin: string, parts: string, mode = 0o644): Promise<EdgeContribution> {
    const file = join(folder, `${plugin}.mjs`)
    await writeFile(file, `export default { name: '${plugin}', ${parts} }`)
    await chmod(file, mode)
    return { plugin, version: '1.0.0', file, config: {} }
  }

  async function serving(edges: readonly EdgeContribution[], config = {}): Promise<FakeContributions> {
    const contributions = new FakeContributions(edges)
    proxy = await TestProxy.start(config, contributions)
    const { port } = app.address() as AddressInfo
    const upstreams = [{ replica: 'r1', address: '127.0.0.1', port, weight: 1 }]
    const route = { app: { id: 'a', name: 'a' }, host: '127.0.0.1', path: '/', upstreams }
    await proxy.traffic.apply({ routes: [route] }, 1, 1)
    url = `http://127.0.0.1:${(await proxy.traffic.bound()).port}`
    return contributions
  }

  const textOf = async (path: string) =>
    (await fetch(url + path, { headers: { connection: 'close' } })).text()
  const tapStats = async () => (await proxy.traffic.stats()).taps ?? []

  it('are in every edge before the first table is', async () => {
    await serving([await contribution('good', good)], { edges: 2 })
    for (let n = 0; n < 8; n += 1) {
      const answer = await fetch(`${url}/`, { headers: { connection: 'close' } })
      assert.equal(answer.headers.get('x-edge'), 'tapped')
      assert.equal(await answer.text(), 'tap: yes')
    }
    assert.equal(await textOf('/no'), 'closed')
    const [request, response] = await tapStats()
    assert.deepEqual([request?.plugin, request?.tap, request?.calls], ['good', 'request', 9])
    assert.deepEqual([response?.tap, response?.calls, response?.muted], ['response', 8, false])
  })

  it('follow their plugins, and are there again after an edge and the launcher were killed', async () => {
    const one = await contribution('good', good)
    const contributions = await serving([])
    assert.equal(await textOf('/'), 'tap: undefined')
    contributions.change([one])
    await eventually('tapped', async () => ((await textOf('/')) === 'tap: yes' ? true : undefined))
    const [edge = 0] = await proxy.edgePids()
    process.kill(edge, 'SIGKILL')
    assert.equal(await textOf('/'), 'tap: yes')
    process.kill(await proxy.launcherPid(), 'SIGKILL')
    await eventually('another edge', async () => {
      const [now] = await proxy.edgePids()
      return now !== undefined && now !== edge && (await textOf('/')) === 'tap: yes' ? true : undefined
    })
    assert.equal((await stat(join(proxy.folder, 'edges', 'taps.json'))).mode & 0o777, 0o600)
    contributions.change([])
    await eventually('not tapped', async () => ((await textOf('/')) === 'tap: undefined' ? true : undefined))
  })

  it('that the user of the edges cannot read are named, with their file', {
    skip: whyNotRoot(),
  }, async () => {
    await serving([await contribution('secret', good, 0o600)])
    assert.equal(await textOf('/'), 'tap: undefined')
    const [stats] = await tapStats()
    assert.deepEqual([stats?.plugin, stats?.tap, stats?.muted], ['secret', 'load', true])
    assert.match(String(stats?.error), /secret\.mjs cannot be loaded as uid 65534.*EACCES/)
  })

  for (const [name, parts, path] of [
    ['hang', hanging, '/hang'],
    ['end', crashing, '/crash'],
  ] as const) {
    it(`of which edges ${name} again and again are dropped by name, until their plugin is reloaded`, async () => {
      const bad = await contribution(`bad-${name}`, parts)
      const contributions = await serving([bad])
      const dropped = async (): Promise<EdgeTapStats | undefined> =>
        (await tapStats()).find(({ tap }) => tap === 'load')
      for (let crashes = 0; crashes < 3; crashes += 1) {
        assert.equal(await dropped(), undefined)
        await assert.rejects(textOf(path))
        await eventually('an edge again', () => textOf('/').catch(() => undefined), 20_000)
      }
      const stats = await eventually('the drop', dropped)
      assert.deepEqual([stats.plugin, stats.muted], [`bad-${name}`, true])
      assert.equal(await textOf(path), 'tap: undefined')
      contributions.change([])
      contributions.change([bad])
      await eventually('back', async () => {
        const [now] = await tapStats()
        return now?.tap === 'request' ? true : undefined
      })
    })
  }
})

/** What the kernel knows of edge modules; a test changes it. */
class FakeContributions {
  edges: readonly EdgeContribution[]
  #changed: () => void = () => undefined

  constructor(edges: readonly EdgeContribution[]) {
    this.edges = edges
  }

  onChange(run: () => void): () => void {
    this.#changed = run
    return () => undefined
  }

  change(edges: readonly EdgeContribution[]): void {
    this.edges = edges
    this.#changed()
  }
}

function whyNotRoot(): string | false {
  return process.getuid?.() === 0 ? false : 'only root has privileges to drop'
}

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'
import { stageRuntime } from '../stage/runtimes.ts'
import { Stage } from '../stage/stage.ts'

const host = 'shop.example.test'
const doorman = fileURLToPath(new URL('../../examples/doorman-plugin', import.meta.url))

describe("a stranger's taps in the edges", () => {
  let stage: Stage

  before(async () => {
    const runtime = await stageRuntime('native')
    const folder = await temporaryFolder()
    stage = await Stage.open({
      folder,
      config: {
        ...runtime.config,
        kernel: { data_dir: join(folder, 'data'), plugin_folders: [doorman] },
        proxy: { edges: 1, access_log: 'all' },
        doorman: { closed_paths: ['/closed'] },
      },
    })
    const app = await stage.createApp('shop', runtime.example, { runtime: 'native', routes: [{ host }] })
    const deployment = await app.pushAndSettle({ 'version.txt': 'one' })
    assert.equal(deployment.state, 'live', deployment.reason)
  })

  after(async () => {
    await stage?.[Symbol.asyncDispose]()
  })

  const get = (path: string) => fetchHost(stage.rivetr.proxyPort, path, host)

  test('are asked, with what their plugin has from rivetr.toml, and counted', async () => {
    const open = await get('/')
    assert.deepEqual([open.status, open.headers['x-frame-options']], [200, 'DENY'])
    const closed = await get('/closed')
    assert.deepEqual([closed.status, closed.body], [404, 'Not here.\n'])
    const { items } = await stage.rivetr.client.call<{
      items: { name: string; taps: { hook: string; muted: boolean; calls: number }[] }[]
    }>('GET', '/api/plugins')
    const taps = items.find(({ name }) => name === 'doorman')?.taps ?? []
    assert.deepEqual(
      taps.map(({ hook, muted }) => [hook, muted]),
      [
        ['edge:request', false],
        ['edge:response', false],
      ],
    )
    assert.ok((taps[0]?.calls ?? 0) >= 2)
  })

  test('both requests stand in the access log', async () => {
    const file = join(stage.folder, 'data', 'plugins', 'proxy', 'edges', 'edge-0', 'access.log')
    for (let tries = 0; tries < 100; tries += 1) {
      const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n').filter(Boolean)
      const closed = lines.map((line) => JSON.parse(line)).find(({ path }) => path === '/closed')
      if (closed !== undefined) {
        assert.deepEqual(
          [closed.host, closed.status, closed.app, closed.replica],
          [host, 404, 'shop', undefined],
        )
        return
      }
      await sleep(100)
    }
    assert.fail('no line for /closed')
  })
})

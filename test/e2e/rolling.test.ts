import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Deployment, Step } from '@rivetr/sdk'
import { Load, type LoadReport } from '../machine/load.ts'
import { temporaryFolder, thisRunsEngine } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'
import { leftovers } from '../stage/leftovers.ts'
import { type StageRuntime, stageRuntime } from '../stage/runtimes.ts'
import { Stage, type StageApp } from '../stage/stage.ts'

const host = 'shop.example.test'
const otherHost = 'other.example.test'
const deploys = 10
const retiredLimitMs = 90_000

/** Says which commit it was made of, and what was in its env. */
const server = `const { RIVETR_COMMIT: commit, GREETING: greeting } = process.env
require('node:http').createServer((request, response) => {
  response.end(JSON.stringify({ commit, greeting }))
}).listen(process.env.PORT)
`

for (const name of ['native', 'docker'] as const) {
  describe(`one deployment after the other on ${name}`, () => {
    let runtime: StageRuntime
    let stage: Stage
    let app: StageApp
    let load: Load | undefined
    /** Commits and deployments that went live, the first first. */
    const lived: { readonly commit: string; readonly deployment: Deployment }[] = []

    before(async () => {
      runtime = await stageRuntime(name)
      stage = await Stage.open({ folder: await temporaryFolder(), config: runtime.config })
      const health = { kind: 'http', path: '/', intervalMs: 200, deadlineMs: 30_000 } as const
      const settings = { runtime: name, health }
      app = await stage.createApp('shop', runtime.example, { ...settings, routes: [{ host }] })
      await deployNext({ ...runtime.files, 'server.js': server })
    })

    after(async () => {
      await load?.stop()
      await stage?.[Symbol.asyncDispose]()
    })

    async function deployNext(files: Readonly<Record<string, string>>): Promise<Deployment> {
      const greeting = `greeting ${lived.length}`
      await stage.rivetr.client.apps.changeEnv('shop', { set: { GREETING: { value: greeting } } })
      const deployment = await app.pushAndSettle(files)
      assert.equal(deployment.state, 'live', deployment.reason)
      lived.push({ commit: await app.head(), deployment })
      return deployment
    }

    /** Connections of their own, so that every edge is asked. */
    async function answers(): Promise<unknown[]> {
      const found = new Set<string>()
      for (let asked = 0; asked < 20; asked++)
        found.add((await fetchHost(stage.rivetr.proxyPort, '/', host)).body)
      return [...found].map((body) => JSON.parse(body) as unknown)
    }

    const greetingOf = (index: number) => ({ commit: lived[index]?.commit, greeting: `greeting ${index}` })

    /** Processes and containers; a release's folder stays for a rollback. */
    async function runningOf(deployment: string): Promise<string[]> {
      const engine = name === 'docker' ? thisRunsEngine().socketPath : undefined
      const all = await leftovers({ folder: stage.folder, deployment, engine })
      return all.filter((left) => /^(process|container)/.test(left))
    }

    for (let count = 1; count <= deploys; count++) {
      test(`U1 U2 U6: under load, deploy ${count} of ten is what then answers, and it alone runs`, async () => {
        load ??= new Load({ port: stage.rivetr.proxyPort, host, requestsPerSecond: 100 })
        const { steps } = await deployNext({ 'version.txt': `${count}` })
        assert.deepEqual(await answers(), [greetingOf(count)])
        assert.ok(timeOf(steps, 'check', 'endedAt') <= timeOf(steps, 'switch', 'startedAt'))
        await retired(lived[count - 1]?.deployment.id ?? '')
      })
    }

    test('U1 U2: the ten deploys have lost no request, and none was answered by an older release than one before it', async () => {
      const report = await load?.stop()
      assert.ok(report && report.requests.length > 0)
      assert.deepEqual(report.failed, [])
      assert.equal(report.resets, 0)
      assertNeverBack(report)
    })

    /** Nothing of it runs any more, and it was asked to end only when traffic was elsewhere. */
    async function retired(old: string): Promise<void> {
      for (const giveUpAt = Date.now() + retiredLimitMs; (await app.standing()).length > 1; await sleep(50))
        assert.ok(Date.now() < giveUpAt, 'the old replica still stands')
      assert.deepEqual(await runningOf(old), [])
      const { steps } = await stage.rivetr.client.deployments.get(lived.at(-1)?.deployment.id ?? '')
      assert.ok(timeOf(steps, 'switch', 'endedAt') <= timeOf(steps, 'retire', 'startedAt'))
    }

    /** Of two requests that did not overlap, the later was never answered by the earlier commit. */
    function assertNeverBack({ requests }: LoadReport): void {
      const age = (body: string) =>
        lived.findIndex(({ commit }) => commit === (JSON.parse(body) as { commit: string }).commit)
      let newest = { age: 0, answeredAtMs: 0 }
      for (const { body, sentAtMs, answeredAtMs } of [...requests].sort((a, b) => a.sentAtMs - b.sentAtMs)) {
        if (sentAtMs > newest.answeredAtMs) assert.ok(age(body) >= newest.age, `${body} after ${newest.age}`)
        if (age(body) > newest.age) newest = { age: age(body), answeredAtMs }
      }
    }

    test('U2: a deploy that failed is not what answers', async () => {
      const deployment = await app.pushAndSettle({ 'server.js': 'process.exit(3)\n' })
      await app.copy.write({ 'server.js': server })
      assert.equal(deployment.state, 'failed')
      assert.deepEqual(await answers(), [greetingOf(deploys)])
      assert.equal((await stage.rivetr.client.apps.get('shop')).live?.commit, lived[deploys]?.commit)
    })

    test('U10: a rollback brings the release that was chosen, with its env, and not the one before', async () => {
      for (const index of [4, 7]) {
        const { deployment, commit } = lived[index] ?? {}
        const back = await app.settled(
          (await stage.rivetr.client.deployments.rollback(deployment?.id ?? '')).id,
        )
        assert.equal(back.state, 'live', back.reason)
        assert.equal(back.release, deployment?.release)
        assert.equal(back.commit?.id, commit)
        assert.deepEqual(await answers(), [greetingOf(index)])
      }
    })

    test('U10: a commit far behind the head of the branch is deployed when it is asked for', async () => {
      const commit = lived[1]?.commit ?? ''
      const deployment = await app.settled((await stage.rivetr.client.apps.deploy('shop', { commit })).id)
      assert.equal(deployment.state, 'live', deployment.reason)
      assert.deepEqual(await answers(), [{ commit, greeting: `greeting ${deploys}` }])
    })

    test('U7: what would break routes is refused, and other apps answer throughout', async () => {
      const { client } = stage.rivetr
      const other = await stage.createApp('other', runtime.example, {
        runtime: name,
        routes: [{ host: otherHost }],
      })
      const first = await other.pushAndSettle({ ...runtime.files, 'server.js': server })
      assert.equal(first.state, 'live', first.reason)
      const before = await client.apps.routes('shop')
      const load = new Load({ port: stage.rivetr.proxyPort, host: otherHost, requestsPerSecond: 50 })
      for (const routes of brokenRoutes)
        await assert.rejects(client.call('PUT', '/api/apps/shop/routes', routes), (error: unknown) => {
          const { code, status } = error as { code: string; status: number }
          assert.ok(['invalid_input', 'conflict'].includes(code), `${JSON.stringify(routes)}: ${code}`)
          assert.ok(status >= 400 && status < 500)
          return true
        })
      for (const traffic of brokenTraffic)
        await assert.rejects(client.call('PUT', '/api/apps/shop/traffic', traffic), { code: 'invalid_input' })
      assert.deepEqual(await client.apps.routes('shop'), before)
      for (const path of oddPaths) {
        await client.call('PUT', '/api/apps/shop/routes', [{ host }, { host, path }])
        assert.equal((await fetchHost(stage.rivetr.proxyPort, path, host)).status, 200)
      }
      await client.call('PUT', '/api/apps/shop/routes', [{ host }])
      await load.more(50)
      const report = await load.stop()
      assert.deepEqual(report.failed, [])
      assert.equal((await answers()).length, 1)
    })
  })
}

function timeOf(steps: Deployment['steps'], wanted: Step, which: 'startedAt' | 'endedAt'): number {
  const time = Date.parse(steps.find(({ step }) => step === wanted)?.[which] ?? '')
  assert.ok(!Number.isNaN(time), `the step ${wanted} has no ${which}`)
  return time
}

const brokenRoutes: readonly unknown[] = [
  [{ host: '' }],
  [{ host: 'a b.test' }],
  [{ host: 'a.test; } server { listen 80' }],
  [{ host: 'a.test\nserver_name _' }],
  [{ host: '`a.test`) || PathPrefix(`/`' }],
  [{ host: '*' }],
  [{ host: '*.*.test' }],
  [{ host: 'a..test' }],
  [{ host: '-a.test' }],
  [{ host: `${'a'.repeat(64)}.test` }],
  [{ host: 'a.test:80' }],
  [{ host: 'https://a.test' }],
  [{ host: 'shop.example.test', path: 'api' }],
  [{ host: 'shop.example.test', path: '/a b' }],
  [{ host: 'shop.example.test', path: '/;}' }],
  [{ host: 'shop.example.test', path: '/a\r\nx: y' }],
  [{ host: 'shop.example.test', path: `/${'a'.repeat(2_000)}` }],
  [{ host: 'shop.example.test', redirect: { to: 'javascript:alert(1)' } }],
  [{ host: 'shop.example.test', redirect: { to: 'https://a.test/\r\nset-cookie: x' } }],
  [{ host: 'shop.example.test', maxBodyBytes: -1 }],
  [{ host: 'shop.example.test', nothing: true }],
  [{ host: 'shop.example.test' }, { host: 'SHOP.example.test.' }],
  [{ host: otherHost }],
  { host: 'shop.example.test' },
]

const brokenTraffic: readonly unknown[] = [
  { maintenance: { page: 7 } },
  { maintenance: { retryAfterS: -1 } },
  { errorPages: { 200: 'x' } },
  { errorPages: { 404: 'x'.repeat(70_000) } },
]

/** Allowed in a path, and special in the languages in which other proxies are configured. */
const oddPaths = ['/$uri', "/'", '/(.*)+$', '/;x', '/%7B%7D', '/*', '/@a=b&c']

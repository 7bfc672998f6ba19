import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { temporaryFolder } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'
import { stageRuntime } from '../stage/runtimes.ts'
import { Stage } from '../stage/stage.ts'

const host = 'shop.example.test'
const password = 'correct horse'

describe('what a route and its app are set to do, from the API to the answer of an edge', () => {
  let stage: Stage

  before(async () => {
    const runtime = await stageRuntime('native')
    stage = await Stage.open({
      folder: await temporaryFolder(),
      config: { ...runtime.config, proxy: { edges: 1 } },
    })
    const routes = [
      { host },
      { host: `www.${host}`, redirect: { to: `https://${host}` } },
      { host: `*.${host}`, path: '/version' },
      { host: `office.${host}`, basicAuth: { users: [{ name: 'anna', password }] } },
    ]
    const app = await stage.createApp('shop', runtime.example, { runtime: 'native' })
    await stage.rivetr.client.call('PUT', '/api/apps/shop/routes', routes)
    const deployment = await app.pushAndSettle({ 'version.txt': 'one' })
    assert.equal(deployment.state, 'live', deployment.reason)
  })

  after(async () => {
    await stage?.[Symbol.asyncDispose]()
  })

  const get = (path: string, of = host, headers = {}) => fetchHost(stage.rivetr.proxyPort, path, of, headers)
  const setTraffic = (change: object) => stage.rivetr.client.call('PUT', '/api/apps/shop/traffic', change)

  test('www leads to the canonical host, path and query included', async () => {
    const { status, headers } = await get('/a?b=c', `www.${host}`)
    assert.deepEqual([status, headers.location], [308, `https://${host}/a?b=c`])
  })

  test('a wildcard takes one label, below its path, where no exact host does', async () => {
    assert.equal((await get('/version', `any.${host}`)).status, 200)
    assert.equal((await get('/', `any.${host}`)).status, 404)
    assert.equal((await get('/version', `a.b.${host}`)).status, 404)
    assert.equal((await get('/version', `www.${host}`)).status, 308)
  })

  test('a password is asked for, by what the API was given', async () => {
    const office = `office.${host}`
    const as = (credentials: string) => ({
      authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
    })
    const asked = await get('/', office)
    assert.deepEqual(
      [asked.status, asked.headers['www-authenticate']],
      [401, 'Basic realm="Restricted", charset="UTF-8"'],
    )
    assert.equal((await get('/', office, as('anna:wrong'))).status, 401)
    assert.equal((await get('/', office, as(`anna:${password}`))).status, 200)
  })

  test('maintenance answers for the app, and ends', async () => {
    await setTraffic({ maintenance: { page: '<p>back at nine</p>', retryAfterS: 60 } })
    const { status, headers, body } = await get('/')
    assert.deepEqual([status, headers['retry-after'], body], [503, '60', '<p>back at nine</p>'])
    await setTraffic({ maintenance: null })
    assert.equal((await get('/')).status, 200)
  })

  test('a replica that died gets no request, its app has pages of its own for that, and is back', async () => {
    const page = '<p>we are on it</p>'
    await setTraffic({ errorPages: { 502: page, 503: page } })
    const { pid } = JSON.parse((await get('/version')).body) as { pid: number }
    process.kill(pid, 'SIGKILL')
    const bodies = new Set<string>()
    for (let tries = 0; tries < 600; tries += 1) {
      const { status, body } = await get('/version')
      if (status === 200 && (JSON.parse(body) as { pid: number }).pid !== pid) break
      bodies.add(body)
      await sleep(50)
    }
    assert.deepEqual([...bodies], [page])
    assert.equal((await get('/')).status, 200)
  })
})

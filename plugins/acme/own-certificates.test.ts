import assert from 'node:assert/strict'
import { request } from 'node:http'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { Apps, appDraft, Routes, type RouteTable } from '@rivetr/sdk'
import {
  createTestKernel,
  eventually,
  type Fakes,
  fakePlugins,
  TestAuthority,
  TestClock,
  tester,
  testPlugin,
} from '@rivetr/testing'

const day = 86_400_000
const host = 'shop.example.test'

describe('uploaded certificates', { timeout: 60_000 }, async () => {
  const authority = await TestAuthority.create()
  const middle = await authority.below('Test Intermediate')
  const at = (days: number) => new Date(Date.parse('2026-01-01T00:00:00Z') + days * day)
  const issue = (names: string[], from = -10, to = 80) =>
    middle.issue({ names, notBefore: at(from), notAfter: at(to) })
  const full = (certificate: string) => certificate + middle.certificate

  it('is served for all of its names as soon as it is uploaded, and its key is in no answer', async () => {
    await using stage = await open()
    const { certificate, key } = await issue([host, `*.${host}`])
    const { status, body } = await stage.call('POST', '/api/certificates', { chain: full(certificate), key })
    assert.equal(status, 201, JSON.stringify(body))
    assert.deepEqual(stage.table.certificates?.[0]?.hosts, [`*.${host}`, host])
    const list = await stage.call('GET', '/api/certificates')
    assert.deepEqual(
      list.body.items?.map(({ host, source, state, routed }) => [host, source, state, routed]),
      [
        [`*.${host}`, 'own', 'valid', false],
        [host, 'own', 'valid', false],
      ],
    )
    for (const answer of [body, list.body]) assert.doesNotMatch(JSON.stringify(answer), /PRIVATE KEY/)
    const text = JSON.stringify(stage.kernel.log)
    assert.doesNotMatch(text, /PRIVATE KEY/)
  })

  it('another for the same names takes its place; without it nothing is served', async () => {
    await using stage = await open()
    for (const to of [20, 40]) {
      const { certificate, key } = await issue([host], -10, to)
      assert.equal(
        (await stage.call('POST', '/api/certificates', { chain: full(certificate), key })).status,
        201,
      )
    }
    assert.equal(stage.table.certificates?.length, 1)
    assert.equal((await stage.call('GET', `/api/certificates/${host}`)).body.notAfter, at(40).toISOString())
    assert.equal((await stage.call('DELETE', `/api/certificates/${host}`)).status, 204)
    assert.deepEqual(stage.table.certificates, [])
    assert.equal((await stage.call('DELETE', `/api/certificates/${host}`)).status, 404)
    assert.equal((await stage.call('GET', `/api/certificates/${host}`)).status, 404)
  })

  for (const [what, from, to, message] of [
    ['that has ended', -80, -1, /has ended at 2025-12-31/],
    ['that begins tomorrow', 1, 80, /begins only at 2026-01-02/],
  ] as const) {
    it(`U35: one ${what} is refused at upload, and what was served stays`, async () => {
      await using stage = await open()
      const good = await issue([host])
      await stage.call('POST', '/api/certificates', { chain: full(good.certificate), key: good.key })
      const bad = await issue([host], from, to)
      const { status, body } = await stage.call('POST', '/api/certificates', {
        chain: full(bad.certificate),
        key: bad.key,
      })
      assert.equal(status, 400)
      assert.match(String(body.error?.message), message)
      assert.equal(stage.table.certificates?.length, 1)
    })
  }

  it('U35: a key of another certificate is refused at upload', async () => {
    await using stage = await open()
    const [one, other] = [await issue([host]), await issue([host])]
    const answer = await stage.call('POST', '/api/certificates', { chain: one.certificate, key: other.key })
    assert.equal(answer.status, 400)
    assert.match(String(answer.body.error?.message), /belongs to none of the certificates/)
  })

  it('U35: one that is damaged on disk is skipped at boot with an alert; the others are served', async () => {
    let dataDir = ''
    const fakes = fakePlugins()
    const stage = await open({ fakes, keep: true })
    for (const name of [host, 'other.example.test']) {
      const { certificate, key } = await issue([name])
      await stage.call('POST', '/api/certificates', { chain: full(certificate), key })
    }
    dataDir = stage.kernel.dataDir
    await stage.kernel.stop('stop')
    const database = new DatabaseSync(join(dataDir, 'rivetr.db'))
    database.exec(
      `update secrets set sealed = '' where name = (select name from secrets where name like 'acme.own.%' order by created_at limit 1)`,
    )
    database.close()
    await using again = await open({ fakes: fakePlugins(), dataDir })
    await again.kernel.get(Routes).publish()
    assert.deepEqual(
      again.table.certificates?.map(({ hosts }) => hosts),
      [['other.example.test']],
    )
    assert.ok(
      again.kernel.log.some(({ level, msg }) => level === 'error' && /upload it again/.test(String(msg))),
    )
    assert.equal((await again.call('GET', `/api/certificates/${host}`)).body.state, 'damaged')
  })

  it('leaves the table when it ends, and is told of before at each of its days', async () => {
    await using stage = await open()
    const { certificate, key } = await issue([host], -60, 30)
    await stage.call('POST', '/api/certificates', { chain: full(certificate), key })
    for (let passed = 0; passed <= 31 * day; passed += day / 4) {
      await stage.clock.advance(day / 4)
      // An exchange with the database on the way: the round that time has begun is over by then.
      await stage.call('GET', '/api/certificates')
    }
    assert.deepEqual(stage.expiring, [21, 7, 3, 1])
    assert.deepEqual(stage.table.certificates, [])
    assert.equal((await stage.call('GET', `/api/certificates/${host}`)).body.state, 'expired')
  })

  it('without consent to the terms nothing is asked for, and that is said once', async () => {
    await using stage = await open()
    await stage.route([host, 'b.example.test'])
    const status = await eventually('a status', async () => {
      const { body } = await stage.call('GET', `/api/certificates/${host}`)
      return body.state === 'refused' ? body : undefined
    })
    assert.match(String(status.reason), /terms_agreed = true in \[acme\]/)
    await stage.clock.advance(3 * 3_600_000)
    const said = stage.kernel.log.filter(({ msg }) => /terms_agreed/.test(String(msg)))
    assert.equal(said.length, 1)
    const renewed = await stage.call('POST', `/api/certificates/${host}/renew`)
    assert.equal(renewed.status, 422)
  })

  it('the tables are those that the entities describe', async () => {
    await using stage = await open()
    assert.equal(await stage.kernel.kernel.parts.database.drift(), '')
  })

  interface Answer {
    items?: { host: string; source: string; state: string; routed: boolean }[]
    state?: string
    reason?: string
    notAfter?: string
    error?: { message: string }
  }

  async function open(options: { fakes?: Fakes; dataDir?: string; keep?: boolean } = {}) {
    const { fakes = fakePlugins(), dataDir } = options
    const clock = new TestClock()
    const expiring: (number | undefined)[] = []
    const listener = testPlugin(
      { name: 'listener' },
      {
        setup: (ctx) =>
          ctx.tap('certExpiring', ({ days }) => {
            expiring.push(days)
            return undefined
          }),
      },
    )
    const kernel = await createTestKernel({
      clock,
      builtIns: ['acme', 'auth', 'http'],
      plugins: [...fakes.plugins, listener],
      config: { http: { port: 0 }, kernel: { monitorIntervalMs: 365 * day } },
      ...(dataDir === undefined ? {} : { dataDir }),
    })
    return {
      kernel,
      clock,
      expiring,
      get table(): RouteTable {
        return fakes.traffic.table
      },
      async route(hosts: readonly string[]) {
        const draft = { name: 'shop', source: { url: 'https://git.test/x.git' } }
        const routes = hosts.map((each) => ({ host: each }))
        await kernel.get(Apps).create(tester, appDraft.parse({ ...draft, routes }))
      },
      async call(method: string, path: string, sent?: unknown): Promise<{ status: number; body: Answer }> {
        const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: Answer }>()
        const socketPath = join(kernel.dataDir, 'api.sock')
        const headers = { 'content-type': 'application/json' }
        const asked = request({ socketPath, method, path, headers }, async (answer) => {
          let text = ''
          for await (const chunk of answer) text += chunk
          resolve({ status: answer.statusCode ?? 0, body: text === '' ? {} : JSON.parse(text) })
        })
        asked.on('error', reject).end(sent === undefined ? undefined : JSON.stringify(sent))
        return promise
      },
      [Symbol.asyncDispose]: () => kernel[Symbol.asyncDispose](),
    }
  }
})

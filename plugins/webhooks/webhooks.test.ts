import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Apps, skip } from '@rivetr/sdk'
import { TestClock } from '@rivetr/testing'
import { Delivery } from './entities.ts'
import { commits, me, openStage, push, repository, until } from './test-stage.ts'

describe('webhooks', { timeout: 60_000 }, () => {
  it('queues the pushed commit of the app whose secret fits', async () => {
    await using stage = await openStage()
    const app = await stage.app('shop')
    const secret = await stage.secretOf(app)
    const { status, body } = await stage.deliver(push(commits.first), { secret })
    assert.equal(status, 202)
    const [delivery] = body.deliveries
    assert.equal(delivery?.outcome, 'queued')
    const [deployment] = await stage.deployments(app)
    assert.equal(deployment?.id, delivery?.deployment)
    assert.equal(deployment?.commit?.id, commits.first)
    assert.deepEqual(deployment?.trigger, {
      kind: 'push',
      by: 'system:webhooks',
      reason: 'push to main by asa',
    })
    assert.ok(deployment?.requestId)
  })

  it('C1, U29: is closed where no secret is stored, whatever is signed with', async () => {
    await using stage = await openStage()
    const app = await stage.app('shop')
    for (const secret of ['', ' ', 'guess', undefined]) {
      const answer = await stage.deliver(push(commits.first), { secret })
      assert.equal(answer.status, 401)
    }
    assert.deepEqual(await stage.deployments(app), [])
    const { items, rejected } = await stage.deliveries(app)
    assert.deepEqual(items, [])
    assert.equal(rejected.count, 4)
    assert.equal(rejected.lastReason, 'github: no app has a webhook secret')
  })

  it('shows a secret once, takes a chosen one, and closes when it is removed', async () => {
    await using stage = await openStage()
    const app = await stage.app('shop')
    const made = await stage.secretOf(app)
    assert.match(made, /^whsec_[A-Za-z0-9+/]{43}=$/)
    const at = `/api/apps/${app.name}/webhook`
    assert.deepEqual((await stage.local('GET', at)).body, {
      configured: true,
      paths: Object.fromEntries(
        ['bitbucket', 'generic', 'gitea', 'github', 'gitlab'].map((name) => [name, `/webhooks/${name}`]),
      ),
    })
    const chosen = 'a-secret-of-our-own'
    assert.equal((await stage.deliver(push(commits.first), { secret: chosen })).status, 401)
    assert.deepEqual((await stage.local('PUT', at, { secret: chosen })).body, { secret: chosen })
    for (const secret of ['', 'short', ' '.repeat(20), `${chosen} `, 'x'.repeat(256)])
      assert.equal((await stage.local('PUT', at, { secret })).status, 400)
    assert.equal((await stage.deliver(push(commits.first), { secret: made })).status, 401)
    assert.equal((await stage.deliver(push(commits.first), { secret: chosen })).status, 202)
    assert.equal((await stage.local('DELETE', at)).status, 204)
    assert.equal((await stage.deliver(push(commits.second), { secret: chosen })).status, 401)
    assert.deepEqual((await stage.local('GET', at)).body, {
      configured: false,
      paths: Object.fromEntries(
        ['bitbucket', 'generic', 'gitea', 'github', 'gitlab'].map((name) => [name, `/webhooks/${name}`]),
      ),
    })
  })

  it('lets only those set or remove a secret who may change the app', async () => {
    await using stage = await openStage()
    const app = await stage.app('shop')
    const secret = await stage.secretOf(app)
    const { key } = await stage.client.keys.create({ name: 'reader', scopes: ['apps:read'] })
    const as = async (method: string, headers = {}) => {
      const url = `http://127.0.0.1:${stage.port}/api/apps/shop/webhook`
      const body = method === 'PUT' ? JSON.stringify({ secret: 'one-of-a-stranger' }) : null
      return (await fetch(url, { method, body, headers: { ...headers, 'content-type': 'application/json' } }))
        .status
    }
    const reader = { authorization: `Bearer ${key}` }
    assert.deepEqual(
      [await as('GET', reader), await as('PUT', reader), await as('DELETE', reader)],
      [200, 403, 403],
    )
    for (const method of ['GET', 'PUT', 'DELETE']) assert.equal(await as(method), 401, method)
    assert.equal((await stage.deliver(push(commits.first), { secret })).status, 202)
  })

  it('C2: deploys exactly the apps whose secret and branch fit', async () => {
    await using stage = await openStage()
    const [web, api, dev] = [
      await stage.app('web'),
      await stage.app('api'),
      await stage.app('dev', { branch: 'dev' }),
    ]
    const [s1, s2] = [await stage.secretOf(web), await stage.secretOf(api)]
    await stage.local('PUT', `/api/apps/${dev.id}/webhook`, { secret: s1 })
    const effects = async (secret: string, commit: string) => {
      const { body } = await stage.deliver(push(commit), { secret })
      return body.deliveries.map(({ app, outcome }) => `${app} ${outcome}`).sort()
    }
    assert.deepEqual(await effects(s1, commits.first), ['dev ignored', 'web queued'])
    assert.deepEqual(await effects(s2, commits.first), ['api queued'])
    assert.equal((await stage.deliver(push(commits.first), { secret: 'S3' })).status, 401)
    assert.deepEqual(await stage.deployments(dev), [])
  })

  it('C3: answers for what it was, and keeps the reason', async () => {
    await using stage = await openStage()
    const app = await stage.app('shop')
    const secret = await stage.secretOf(app)
    const rows: [number, RegExp, string, Record<string, string>][] = [
      [200, /not the source of shop/, push(commits.first, { repository: repository('other') }), {}],
      [200, /the push was to dev; shop deploys main/, push(commits.first, { ref: 'refs/heads/dev' }), {}],
      [200, /the webhook works/, '{"zen":"🦊"}', { 'x-github-event': 'ping' }],
      [200, /event issues deploys nothing/, '{}', { 'x-github-event': 'issues' }],
      [200, /refs\/heads\/main was deleted/, push('0'.repeat(40), { deleted: true, head_commit: null }), {}],
      [
        200,
        /refs\/tags\/main is a tag; shop deploys the branch main/,
        push(commits.first, { ref: 'refs/tags/main' }),
        {},
      ],
      [
        200,
        /the commit says \[skip ci\]/,
        push(commits.first, { head_commit: { id: commits.first, message: 'x [skip ci]' } }),
        {},
      ],
      [400, /not JSON/, '{', {}],
      [400, /"abc" is not a commit id/, push('abc'), {}],
    ]
    for (const [status, reason, body, headers] of rows) {
      const answer = await stage.deliver(body, { secret, headers })
      assert.equal(answer.status, status, body)
      const [last] = (await stage.deliveries(app)).items
      assert.match(String(last?.reason), reason)
      if (status === 200) assert.equal(answer.body.deliveries[0]?.reason, last?.reason)
    }
    assert.equal((await stage.deliver('{}', { secret, path: '/webhooks/nobody' })).status, 404)
    assert.deepEqual(await stage.deployments(app), [])
    assert.equal((await stage.deliveries(app)).items.length, rows.length)
  })

  it('C4: checks the signature over the bytes as they came, cut anywhere', async () => {
    await using stage = await openStage()
    const app = await stage.app('shop')
    const secret = await stage.secretOf(app)
    const text = push(commits.first).replace('"ref":', '"ref":  ').replace('Sell', 'S\\u00e9ll é 🎩\u2028')
    const odd = Buffer.from(`\ufeff${text.replace('{', '{"score":1.0,"score":1.0,')}\n`)
    assert.match(await stage.deliverInPieces(odd, secret), /^HTTP\/1\.1 202 /)
    assert.equal((await stage.deployments(app)).length, 1)
    const form = Buffer.from(`payload=${encodeURIComponent(push(commits.second))}`)
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    assert.equal((await stage.deliver(form, { secret, headers })).status, 202)
    // One byte more than was signed is another body.
    assert.equal(
      (await stage.deliver(Buffer.concat([form, Buffer.from(' ')]), { signedAs: form, secret, headers }))
        .status,
      401,
    )
  })

  it('C9: finds the app by every spelling of its address', async () => {
    await using stage = await openStage()
    const spellings = [
      'git@git.example.test:Org/App',
      'ssh://git@git.example.test:22/org/app.git',
      'https://robot:T0KEN@git.example.test/org/app/',
    ]
    const secret = 'one-secret-for-all-of-them'
    for (const [index, url] of spellings.entries()) {
      const app = await stage.app(`shop-${index}`, { url })
      await stage.local('PUT', `/api/apps/${app.id}/webhook`, { secret })
    }
    const lookalike = await stage.app('lookalike', { url: 'https://git.example.test/org/app-two' })
    await stage.local('PUT', `/api/apps/${lookalike.id}/webhook`, { secret })
    const { body } = await stage.deliver(push(commits.first), { secret })
    assert.deepEqual(
      body.deliveries.map(({ app, outcome }) => [app, outcome]).sort(),
      spellings.map((_, index) => [`shop-${index}`, 'queued']),
    )
    assert.deepEqual((await stage.deliveries(lookalike)).items, [])
  })

  it('C11, U25: does a delivery once, also at the same instant and after a restart', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'rivetr-webhooks-'))
    const delivery = randomUUID()
    try {
      let secret: string
      {
        await using stage = await openStage({ dataDir })
        const app = await stage.app('shop')
        secret = await stage.secretOf(app)
        // Who cannot sign cannot claim the id of a delivery to come.
        assert.equal((await stage.deliver(push(commits.first), { secret: 'guess', delivery })).status, 401)
        const both = await Promise.all(
          [1, 2].map(() => stage.deliver(push(commits.first), { secret, delivery })),
        )
        assert.deepEqual(both.map(({ status }) => status).sort(), [200, 202])
        assert.equal((await stage.deployments(app)).length, 1)
      }
      await using stage = await openStage({ dataDir })
      const { status, body } = await stage.deliver(push(commits.first), { secret, delivery })
      assert.equal(status, 200)
      assert.equal(body.deliveries[0]?.outcome, 'repeated')
      assert.match(String(body.deliveries[0]?.reason), /this delivery came at .* already: queued/)
      assert.equal((await stage.deployments(await stage.kernel.get(Apps).get(me, 'shop'))).length, 1)
    } finally {
      await rm(dataDir, { recursive: true, force: true })
    }
  })

  it('C11: does a delivery that failed, or was refused, when it is sent again', async () => {
    let fault: Error | undefined = new Error('not today')
    await using stage = await openStage({ pushReceived: () => void (fault && raise(fault)) })
    const app = await stage.app('shop')
    const secret = await stage.secretOf(app)
    const delivery = randomUUID()
    const refused = await stage.deliver(push(commits.first), { secret, delivery })
    assert.deepEqual([refused.status, refused.body.deliveries[0]?.outcome], [200, 'refused'])
    assert.match(String(refused.body.deliveries[0]?.reason), /not today/)
    fault = undefined
    const { status, body } = await stage.deliver(push(commits.first), { secret, delivery })
    assert.deepEqual([status, body.deliveries[0]?.outcome], [202, 'queued'])
    assert.equal((await stage.deliveries(app)).items.length, 1)
  })

  it('U25: queues a commit once that two webhooks bring, and again after a forced push back to it', async () => {
    const clock = new TestClock()
    await using stage = await openStage({ clock })
    const app = await stage.app('shop')
    const secret = await stage.secretOf(app)
    const outcome = async (commit: string) =>
      (await stage.deliver(push(commit), { secret })).body.deliveries[0]?.outcome
    assert.equal(await outcome(commits.first), 'queued')
    assert.equal(await outcome(commits.first), 'repeated')
    await clock.advance(1_000)
    assert.equal(await outcome(commits.second), 'queued')
    await clock.advance(1_000)
    assert.equal(await outcome(commits.first), 'queued')
    await clock.advance(61_000)
    assert.equal(await outcome(commits.first), 'queued')
  })

  it('C11: answers in time while a plugin is still deciding, and deploys all the same', async () => {
    const clock = new TestClock()
    const decided = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    await using stage = await openStage({
      clock,
      pushReceived: async () => {
        asked.resolve()
        await decided.promise
      },
    })
    const app = await stage.app('shop')
    const secret = await stage.secretOf(app)
    const answer = stage.deliver(push(commits.first), { secret })
    await asked.promise
    await clock.advance(8_000)
    const { status, body } = await answer
    assert.deepEqual([status, body.deliveries[0]?.outcome], [202, 'received'])
    decided.resolve()
    await until(async () => (await stage.deployments(app)).length === 1)
    await until(async () => (await stage.deliveries(app)).items[0]?.outcome === 'queued')
  })

  it('C11: lets the git host send again what was not decided when Rivetr stopped', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'rivetr-webhooks-'))
    const delivery = randomUUID()
    const clock = new TestClock()
    const asked = Promise.withResolvers<void>()
    const undecided = () => {
      asked.resolve()
      return new Promise<never>(() => undefined)
    }
    try {
      let secret: string
      {
        await using stage = await openStage({ dataDir, clock, pushReceived: undecided })
        secret = await stage.secretOf(await stage.app('shop'))
        const answer = stage.deliver(push(commits.first), { secret, delivery })
        await asked.promise
        await clock.advance(8_000)
        assert.equal((await answer).status, 202)
      }
      await using stage = await openStage({ dataDir })
      const app = await stage.kernel.get(Apps).get(me, 'shop')
      assert.match(String((await stage.deliveries(app)).items[0]?.reason), /Rivetr stopped/)
      const { status, body } = await stage.deliver(push(commits.first), { secret, delivery })
      assert.deepEqual([status, body.deliveries[0]?.outcome], [202, 'queued'])
    } finally {
      await rm(dataDir, { recursive: true, force: true })
    }
  })

  it('answers 503 when a deployment could not be queued, so that the git host shows it', async () => {
    await using stage = await openStage({
      async pushReceived({ app }) {
        await stage.kernel.get(Apps).remove(me, app.id)
      },
    })
    const secret = await stage.secretOf(await stage.app('shop'))
    const { status, body } = await stage.deliver(push(commits.first), { secret })
    assert.deepEqual([status, body.deliveries[0]?.outcome], [503, 'failed'])
    assert.match(String(body.deliveries[0]?.reason), /no app/)
  })

  it('lets a plugin skip a push, with its reason', async () => {
    await using stage = await openStage({
      pushReceived: ({ event, app }) => skip(`${event.branch} of ${app.name} rests on Fridays`),
    })
    const app = await stage.app('shop')
    const { status, body } = await stage.deliver(push(commits.first), { secret: await stage.secretOf(app) })
    assert.equal(status, 200)
    assert.deepEqual(body.deliveries, [
      { app: 'shop', outcome: 'skipped', reason: 'main of shop rests on Fridays' },
    ])
  })

  it('U27: takes large pushes, and refuses larger ones than the limit', async () => {
    await using stage = await openStage({ config: { bodyLimitBytes: 6_000_000 } })
    const secret = await stage.secretOf(await stage.app('shop'))
    const padded = (bytes: number) => push(commits.first, { padding: 'x'.repeat(bytes) })
    assert.equal((await stage.deliver(padded(5_000_000), { secret })).status, 202)
    assert.equal((await stage.deliver(padded(6_000_000), { secret })).status, 413)
  })

  it('keeps so many deliveries of an app, in pages, newest first, and none of an app that is gone', async () => {
    await using stage = await openStage({ config: { deliveriesKept: 10 } })
    const [app, other] = [
      await stage.app('shop'),
      await stage.app('other', { url: 'https://git.example.test/org/other' }),
    ]
    const secret = await stage.secretOf(app)
    await stage.deliver('{}', { secret: await stage.secretOf(other), headers: { 'x-github-event': 'ping' } })
    for (let number = 1; number <= 13; number += 1) {
      await stage.deliver('{}', { secret, delivery: `d-${number}`, headers: { 'x-github-event': 'ping' } })
    }
    const first = await stage.deliveries(app, { limit: 6 })
    const second = await stage.deliveries(app, { limit: 6, cursor: first.nextCursor })
    assert.deepEqual(
      [...first.items, ...second.items].map(({ delivery }) => delivery),
      Array.from({ length: 10 }, (_, index) => `d-${13 - index}`),
    )
    assert.equal(second.nextCursor, undefined)
    assert.equal((await stage.deliveries(other)).items.length, 1)
    await stage.kernel.get(Apps).remove(me, app.id)
    assert.equal((await stage.deliver(push(commits.first), { secret })).status, 401)
    const { rows } = stage.kernel.kernel.parts.database
    await until(async () => (await rows.count(Delivery, { app: app.id })) === 0)
    assert.equal(await rows.count(Delivery, { app: other.id }), 1)
  })

  it('has tables as its entities say', async () => {
    await using stage = await openStage()
    const drift = await stage.kernel.kernel.parts.database.drift()
    assert.doesNotMatch(drift, /webhooks__/)
    assert.equal((await stage.local('GET', '/api/apps/nobody/deliveries')).status, 404)
  })
})

function raise(error: Error): never {
  throw error
}

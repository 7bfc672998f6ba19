import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { WebhookDeliveries, WebhookDelivery } from '@rivetr/sdk/client'
import { TestClock } from '@rivetr/testing'
import type { DeliveryView } from './delivery-view.ts'
import { commits, openStage, push } from './test-stage.ts'

describe('deliveries in the API', { timeout: 60_000 }, () => {
  it('say what came, what it matched, what it did and why not', async () => {
    const clock = new TestClock('2026-03-01T12:00:00.000Z')
    await using stage = await openStage({ clock })
    const app = await stage.app('shop')
    const secret = await stage.secretOf(app)
    await stage.deliver(push(commits.first), { secret, delivery: 'd-1' })
    await clock.advance(1_000)
    await stage.deliver(push(commits.second, { ref: 'refs/heads/dev' }), { secret, delivery: 'd-2' })
    await stage.deliver('{}', { secret, delivery: 'd-3', headers: { 'x-github-event': 'issues' } })
    await stage.deliver('{', { secret, delivery: 'd-4' })
    const { items, rejected, ...rest } = await stage.deliveries(app)
    assert.deepEqual(rest, {})
    assert.deepEqual(rejected, { count: 0, providers: {} })
    const [deployment] = await stage.deployments(app)
    const common = { app: app.id, provider: 'github', repeats: 0, receivedAt: '2026-03-01T12:00:01.000Z' }
    const pushed = { event: 'push', repository: 'org/app', title: 'Sell hats', pusher: 'asa' }
    assert.deepEqual(
      items.map(({ id: _, ...item }) => item),
      [
        {
          ...common,
          delivery: 'd-4',
          outcome: 'failed',
          reason: 'not a webhook of GitHub: the body is not JSON in UTF-8',
        },
        {
          ...common,
          delivery: 'd-3',
          event: 'other',
          outcome: 'ignored',
          reason: 'event issues deploys nothing',
        },
        {
          ...common,
          ...pushed,
          delivery: 'd-2',
          ref: 'refs/heads/dev',
          commit: commits.second,
          outcome: 'ignored',
          reason: 'the push was to dev; shop deploys main',
        },
        {
          ...common,
          ...pushed,
          delivery: 'd-1',
          ref: 'refs/heads/main',
          commit: commits.first,
          outcome: 'queued',
          deployment: deployment?.id,
          receivedAt: '2026-03-01T12:00:00.000Z',
        },
      ],
    )
  })

  it('C11: count a repeat where it belongs, with its time', async () => {
    const clock = new TestClock('2026-03-01T12:00:00.000Z')
    await using stage = await openStage({ clock })
    const app = await stage.app('shop')
    const secret = await stage.secretOf(app)
    await stage.deliver(push(commits.first), { secret, delivery: 'd-1' })
    await clock.advance(3_600_000)
    const again = await stage.deliver(push(commits.first), { secret, delivery: 'd-1' })
    assert.deepEqual([again.status, again.body.deliveries[0]?.outcome], [200, 'repeated'])
    const { items } = await stage.deliveries(app)
    assert.equal(items.length, 1)
    assert.deepEqual(
      [items[0]?.outcome, items[0]?.repeats, items[0]?.lastRepeatAt],
      ['queued', 1, '2026-03-01T13:00:00.000Z'],
    )
    assert.equal((await stage.deployments(app)).length, 1)
  })

  it('come in pages, of an app or of all, newest first and each once', async () => {
    await using stage = await openStage()
    const [shop, blog] = [
      await stage.app('shop'),
      await stage.app('blog', { url: 'https://git.example.test/org/blog' }),
    ]
    const secrets = [await stage.secretOf(shop), await stage.secretOf(blog)]
    const ping = { 'x-github-event': 'ping' }
    for (let number = 0; number < 7; number += 1)
      await stage.deliver('{}', { secret: secrets[number % 2], delivery: `d-${number}`, headers: ping })
    const newestFirst = ['d-6', 'd-5', 'd-4', 'd-3', 'd-2', 'd-1', 'd-0']
    assert.deepEqual(namesOf(await everyPage((query) => stage.client.deliveries.list(query))), newestFirst)
    assert.deepEqual(
      namesOf(await everyPage((query) => stage.client.apps.deliveries('blog', query))),
      newestFirst.filter((_, index) => index % 2 === 1),
    )
    for (const query of ['limit=0', 'limit=201', 'limit=x', `cursor=${'c'.repeat(201)}`])
      assert.equal((await stage.local('GET', `/api/deliveries?${query}`)).status, 400, query)
    await assert.rejects(stage.client.apps.deliveries('nobody'), { code: 'not_found' })
  })

  it('U29: count what was rejected by its kind, with the last reason, and keep nothing of it', async () => {
    await using stage = await openStage()
    await stage.secretOf(await stage.app('shop'))
    for (const path of ['/webhooks/github', '/webhooks/gitlab', '/webhooks/gitlab'])
      assert.equal((await stage.deliver(push(commits.first), { secret: 'guess', path })).status, 401)
    const { items, rejected } = await stage.client.deliveries.list()
    assert.deepEqual(items, [])
    const { lastAt, ...counted } = rejected
    assert.deepEqual(counted, {
      count: 3,
      lastReason: 'gitlab: the signature fits no app',
      providers: { github: 1, gitlab: 2 },
    })
    assert.ok(Math.abs(Date.parse(String(lastAt)) - Date.now()) < 60_000)
  })

  it('are for those who may read them: of an app, or of the whole system', async () => {
    await using stage = await openStage()
    const app = await stage.app('shop')
    const asKey = async (scopes: string[], path: string) => {
      const { key } = await stage.client.keys.create({ name: 'k', scopes })
      const headers = { authorization: `Bearer ${key}` }
      return (await fetch(`http://127.0.0.1:${stage.port}${path}`, { headers })).status
    }
    const [all, own] = ['/api/deliveries', `/api/apps/${app.id}/deliveries`]
    assert.equal((await fetch(`http://127.0.0.1:${stage.port}${all}`)).status, 401)
    assert.deepEqual([await asKey(['apps:read'], own), await asKey(['apps:read'], all)], [200, 403])
    assert.deepEqual([await asKey(['system:read'], own), await asKey(['system:read'], all)], [403, 200])
  })
})

/** What the client says of a delivery is what the route returns: this compiles only as long as the two agree. */
const sameShape = (view: DeliveryView): WebhookDelivery => view
void sameShape

const namesOf = (items: readonly WebhookDelivery[]) => items.map(({ delivery }) => delivery)

async function everyPage(
  read: (query: { limit: number; cursor?: string | undefined }) => Promise<WebhookDeliveries>,
): Promise<WebhookDelivery[]> {
  const all: WebhookDelivery[] = []
  let cursor: string | undefined
  do {
    const page = await read({ limit: 2, cursor })
    assert.ok(page.items.length <= 2)
    all.push(...page.items)
    cursor = page.nextCursor
  } while (cursor !== undefined)
  return all
}

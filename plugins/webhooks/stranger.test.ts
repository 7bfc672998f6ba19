import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import { WebhookProvider } from '@rivetr/sdk'
import { FakeWebhookProvider, testPlugin } from '@rivetr/testing'
import { commits, openStage, push } from './test-stage.ts'

/** A plugin of somebody else's, which adds a git host. */
const hub = (provider: WebhookProvider = new FakeWebhookProvider()) =>
  testPlugin(
    { name: 'hub', provides: ['webhook-provider:hub'] },
    { setup: (ctx) => ctx.provide(WebhookProvider, 'hub', () => provider) },
  )

function delivery(secret: string, body: object, id: string) {
  const text = JSON.stringify(body)
  const signature = createHmac('sha256', secret).update(text).digest('hex')
  const headers = { 'x-fake-signature': signature, 'x-fake-delivery': id }
  return [text, { secret: undefined, path: '/webhooks/hub', headers }] as const
}

describe("a stranger's webhook provider", { timeout: 60_000 }, () => {
  it('is served under its name like ours: queued, listed, counted, once', async () => {
    await using stage = await openStage({ plugins: [hub()] })
    const app = await stage.app('shop')
    const secret = await stage.secretOf(app)
    assert.equal((await stage.client.apps.webhook('shop')).paths.hub, '/webhooks/hub')
    const pushed = { event: 'push', url: app.source.kind === 'git' ? app.source.url : '', branch: 'main' }
    const deliver = (commit: string, id: string) =>
      stage.deliver(...delivery(secret, { ...pushed, commit }, id))
    const first = await deliver(commits.first, 'h-1')
    assert.deepEqual([first.status, first.body.deliveries[0]?.outcome], [202, 'queued'])
    assert.equal((await deliver(commits.first, 'h-1')).body.deliveries[0]?.outcome, 'repeated')
    assert.equal((await stage.deliver(...delivery('guess', pushed, 'h-2'))).status, 401)
    assert.equal((await stage.deliver(...delivery(secret, { event: 'odd' }, 'h-3'))).status, 400)
    const { items, rejected } = await stage.deliveries(app)
    assert.deepEqual(
      items.map(({ provider, delivery, outcome }) => [provider, delivery, outcome]),
      [
        ['hub', 'h-3', 'failed'],
        ['hub', 'h-1', 'queued'],
      ],
    )
    assert.deepEqual(rejected.providers, { hub: 1 })
    assert.equal((await stage.deployments(app))[0]?.commit?.id, commits.first)
  })

  it('C11: may give a delivery the id of another kind: that is not a repeat', async () => {
    await using stage = await openStage({ plugins: [hub()] })
    const app = await stage.app('shop')
    const secret = await stage.secretOf(app)
    assert.equal((await stage.deliver(push(commits.first), { secret, delivery: 'd-1' })).status, 202)
    const pushed = { event: 'push', url: 'https://git.example.test/org/app', branch: 'main' }
    const { body } = await stage.deliver(...delivery(secret, { ...pushed, commit: commits.second }, 'd-1'))
    assert.equal(body.deliveries[0]?.outcome, 'queued')
    assert.equal((await stage.deliveries(app)).items.length, 2)
  })

  it('is asked about large bodies in several goes, between which others have their turn', async () => {
    const seen: string[] = []
    const verify = () => {
      seen.push('asked')
      setImmediate(() => seen.push('turn of others'))
      return false
    }
    const provider = Object.assign(new FakeWebhookProvider(), { verify })
    await using stage = await openStage({ plugins: [hub(provider)] })
    for (const name of ['a', 'b', 'c']) await stage.secretOf(await stage.app(name))
    const large = { padding: 'x'.repeat(5 * 1024 * 1024) }
    assert.equal((await stage.deliver(...delivery('guess', large, 'h-1'))).status, 401)
    const asked = 'asked'
    assert.deepEqual(seen, [asked, 'turn of others', asked, 'turn of others', asked, 'turn of others'])
  })

  it('C1: deploys nothing by a verdict that is not true, or by a fault, and harms no other kind', async () => {
    const odd = (verify: () => unknown) =>
      Object.assign(new FakeWebhookProvider(), { verify: verify as () => boolean })
    const faults = [
      () => 1,
      () => 'yes',
      () => Promise.resolve(true),
      () => {
        throw new Error('no key')
      },
    ]
    for (const verify of faults) {
      await using stage = await openStage({ plugins: [hub(odd(verify))] })
      const app = await stage.app('shop')
      const secret = await stage.secretOf(app)
      const pushed = { event: 'push', url: 'https://git.example.test/org/app', branch: 'main' }
      const { status } = await stage.deliver(...delivery(secret, { ...pushed, commit: commits.first }, 'h-1'))
      assert.ok(status >= 400, String(status))
      assert.deepEqual(await stage.deployments(app), [])
      assert.equal((await stage.deliver(push(commits.second), { secret })).status, 202)
    }
  })
})

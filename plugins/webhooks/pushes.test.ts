import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import { Apps, Hooks } from '@rivetr/sdk'
import { me, openStage, push, repository } from './test-stage.ts'

const secret = 'one-secret-for-all-of-them'
const idOf = (number: number) => number.toString(16).padStart(40, 'a')

/** A stage whose app `shop` is set so; `outcome` delivers a push and says what became of it. */
async function open(change: Parameters<Apps['update']>[2] = {}) {
  const stage = await openStage()
  const { id } = await stage.app('shop')
  const app = await stage.kernel.get(Apps).update(me, id, change)
  await stage.client.apps.setWebhook(id, secret)
  let number = 0
  return {
    stage,
    app,
    async outcome(payload: (commit: string) => object): Promise<string> {
      number += 1
      const { status, body } = await stage.deliver(push(idOf(number), payload(idOf(number))), { secret })
      return `${status} ${body.deliveries[0]?.outcome}`
    },
    [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose](),
  }
}

describe('what a push deploys', { timeout: 120_000 }, () => {
  it('C7: a watched path that was added, changed or removed deploys, and so does what is not known', async () => {
    await using scene = await open({ watchPaths: ['apps/web/**'] })
    const changes = (...files: { added?: unknown; modified?: unknown; removed?: unknown }[]) => ({
      commits: files.map((each) => ({ added: [], modified: [], removed: [], ...each })),
    })
    const rows: readonly (readonly [string, object])[] = [
      ['202 queued', changes({ added: ['apps/web/new.ts'] })],
      ['202 queued', changes({ removed: ['apps/web/old.ts'] })],
      ['202 queued', changes({ modified: ['apps/web/.env'] })],
      ['202 queued', changes({ removed: ['apps/web/moved.ts'], added: ['lib/moved.ts'] })],
      ['202 queued', changes({ modified: ['docs/a.md'] }, { modified: ['apps/web/a.ts'] })],
      ['202 queued', changes({ added: null })],
      ['202 queued', { commits: [{}] }],
      ['202 queued', { commits: null }],
      ['202 queued', { commits: undefined }],
      ['202 queued', { commits: [] }],
      ['202 queued', { ...changes({ modified: ['docs/a.md'] }), forced: true }],
      ['202 queued', { ...changes({ modified: ['docs/a.md'] }), created: true }],
      ['200 skipped', changes({ modified: ['apps/web2/x'] })],
      ['200 skipped', changes({ modified: ['APPS/WEB/x'] })],
      ['200 skipped', changes({ added: ['lib/apps/web/x'] }, { removed: ['docs/a.md'] })],
    ]
    for (const [outcome, payload] of rows)
      assert.equal(await scene.outcome(() => payload), outcome, JSON.stringify(payload))
    await scene.stage.kernel.get(Apps).update(me, scene.app.id, { watchPaths: ['!docs/**'] })
    assert.equal(await scene.outcome(() => changes({ modified: ['docs/a.md'] })), '200 skipped')
    assert.equal(await scene.outcome(() => changes({ modified: ['docs/a.md', 'src/a.ts'] })), '202 queued')
  })

  it('C13, U26: only the whole ref of its branch counts, and only while the app deploys by itself', async () => {
    await using scene = await open()
    const rows: readonly (readonly [string, string])[] = [
      ['refs/heads/main', '202 queued'],
      ['refs/tags/main', '200 ignored'],
      ['refs/heads/release/1.0', '200 ignored'],
      ['refs/heads/refs/heads/main', '200 ignored'],
      ['refs/heads/Main', '200 ignored'],
      ['refs/heads/main2', '200 ignored'],
      ['refs/notes/main', '200 ignored'],
      ['main', '200 ignored'],
    ]
    for (const [ref, outcome] of rows) assert.equal(await scene.outcome(() => ({ ref })), outcome, ref)
    await scene.stage.kernel.get(Apps).update(me, scene.app.id, { autoDeploy: false })
    for (const [ref] of rows) assert.equal(await scene.outcome(() => ({ ref })), '200 ignored', ref)
  })

  it('an app that was stopped is not started by a push', async () => {
    await using scene = await open()
    await scene.stage.kernel.get(Apps).stop(me, scene.app.id)
    assert.equal(await scene.outcome(() => ({})), '200 ignored')
  })

  it('C13: the head commit alone may ask not to be deployed', async () => {
    await using scene = await open()
    const head = (message: string) => (id: string) => ({ head_commit: { id, message } })
    const older = { id: 'b'.repeat(40), message: 'old [skip ci]', added: [], modified: ['a'], removed: [] }
    assert.equal(await scene.outcome(head('typo [skip ci]')), '200 skipped')
    assert.equal(await scene.outcome(head('typo [SKIP CI]')), '200 skipped')
    assert.equal(await scene.outcome(head('typo\n\n[ci skip]\n')), '200 skipped')
    assert.equal(await scene.outcome(head('hats (#7)\n\n* typo [skip ci]\n* hats')), '202 queued')
    assert.equal(await scene.outcome((id) => ({ ...head('hats')(id), commits: [older] })), '202 queued')
    const tagged = (id: string) => ({ ...head('v1 [skip ci]')(id), ref: 'refs/tags/v1' })
    assert.equal(await scene.outcome(tagged), '200 ignored')
  })

  it('C13: what was kept out is kept out also when it is found by comparing heads', async () => {
    await using scene = await open()
    const { stage, app } = scene
    assert.equal(
      await scene.outcome((id) => ({ head_commit: { id, message: 'typo [skip ci]' } })),
      '200 skipped',
    )
    const found = (commit: string, message?: string) =>
      stage.kernel.get(Hooks).call('pushReceived', {
        event: {
          kind: 'push',
          branch: 'main',
          ref: 'refs/heads/main',
          urls: [],
          repository: '',
          commit: { id: commit, ...(message && { message }) },
        },
        app,
      })
    assert.match(String((await found(idOf(1)))?.reason), /the commit says \[skip ci\]/)
    assert.equal(await found(idOf(2)), undefined)
    assert.equal(await scene.outcome(() => ({})), '202 queued')
    assert.equal(await found(idOf(2)), undefined, 'what was queued was not kept out')
    assert.match(String((await found(idOf(3), 'typo [skip ci]'))?.reason), /the commit says \[skip ci\]/)
  })

  it('C7: what was kept out is deployed when a delivery brings it and the app watches it by then', async () => {
    await using scene = await open({ watchPaths: ['apps/web/**'] })
    const docs = { commits: [{ added: ['docs/a.md'], modified: [], removed: [] }] }
    const deliver = async () =>
      (await scene.stage.deliver(push(idOf(1), docs), { secret })).body.deliveries[0]?.outcome
    assert.equal(await deliver(), 'skipped')
    await scene.stage.kernel.get(Apps).update(me, scene.app.id, { watchPaths: ['docs/**'] })
    assert.equal(await deliver(), 'queued')
  })

  it('C6: a deleted branch deploys nothing, in whatever way it is told', async () => {
    await using scene = await open()
    for (const zeros of ['0'.repeat(40), '0'.repeat(64)])
      for (const change of [{ deleted: true }, {}, { deleted: true, commits: null }])
        assert.equal(
          await scene.outcome(() => ({ after: zeros, head_commit: null, commits: [], ...change })),
          '200 ignored',
          JSON.stringify([zeros, change]),
        )
    assert.deepEqual(await scene.stage.deployments(scene.app), [])
  })

  it('C6: of several refs in one Bitbucket delivery the branch of the app is deployed, once', async () => {
    await using scene = await open()
    const ref = (type: string, name: string, hash: string) => ({ type, name, target: { hash } })
    const changes = [
      { new: null, old: ref('branch', 'gone', idOf(1)) },
      { new: ref('tag', 'main', idOf(2)), old: null },
      { new: ref('branch', 'main', idOf(3)), old: ref('branch', 'main', idOf(1)) },
      { new: ref('branch', 'dev', idOf(4)), old: null },
    ]
    const links = { html: { href: 'https://git.example.test/Org/App' } }
    const body = JSON.stringify({ repository: { full_name: 'org/app', links }, push: { changes } })
    const signature = createHmac('sha256', secret).update(body).digest('hex')
    const headers = {
      'x-hub-signature': `sha256=${signature}`,
      'x-event-key': 'repo:push',
      'x-request-uuid': 'b-1',
    }
    const { status } = await scene.stage.deliver(body, {
      secret: undefined,
      path: '/webhooks/bitbucket',
      headers,
    })
    assert.equal(status, 202)
    assert.deepEqual(
      (await scene.stage.deployments(scene.app)).map(({ commit }) => commit?.id),
      [idOf(3)],
    )
  })

  it('U28: a forced push deploys its new head, though it was deployed before', async () => {
    await using scene = await open()
    assert.equal(await scene.outcome(() => ({})), '202 queued')
    assert.equal(await scene.outcome(() => ({ forced: true })), '202 queued')
    const back = push(idOf(1), { forced: true, before: idOf(2) })
    assert.equal((await scene.stage.deliver(back, { secret })).body.deliveries[0]?.outcome, 'queued')
    assert.equal((await scene.stage.deployments(scene.app))[0]?.commit?.id, idOf(1))
  })

  it('a renamed repository says what to do, and deploys once its source is changed', async () => {
    await using scene = await open()
    const renamed = { repository: repository('store') }
    assert.equal(await scene.outcome(() => renamed), '200 ignored')
    const [told] = (await scene.stage.deliveries(scene.app)).items
    assert.match(String(told?.reason), /to org\/store, which is not the source of shop; where it was renamed/)
    const source = { kind: 'git', url: 'https://git.example.test/org/store', branch: 'main' } as const
    await scene.stage.kernel.get(Apps).update(me, scene.app.id, { source })
    assert.equal(await scene.outcome(() => renamed), '202 queued')
  })

  it('U31: a payload without addresses, or with look-alikes, is of no app', async () => {
    await using scene = await open({
      source: { kind: 'git', url: 'https://git.example.test/org/my_app', branch: 'main' },
    })
    const named = (urls: { clone_url?: unknown; ssh_url?: unknown }) => ({
      repository: { full_name: 'org/my_app', ...urls },
    })
    const rows: readonly (readonly [string, object])[] = [
      ['200 ignored', named({ clone_url: '', ssh_url: '' })],
      ['200 ignored', named({ clone_url: null })],
      ['200 ignored', named({})],
      ['200 ignored', named({ clone_url: '%', ssh_url: '_' })],
      ['200 ignored', named({ clone_url: 'https://git.example.test/org/my-app.git' })],
      ['200 ignored', named({ clone_url: 'https://git.example.test/org/my_app-two.git' })],
      ['200 ignored', named({ clone_url: 'https://git.example.test/my_app.git' })],
      ['200 ignored', named({ clone_url: 'https://evil.example.test/org/my_app.git' })],
      ['202 queued', named({ clone_url: 'https://git.example.test/org/my_app.git' })],
      ['202 queued', named({ ssh_url: 'git@git.example.test:Org/My_App.git' })],
    ]
    for (const [outcome, payload] of rows)
      assert.equal(await scene.outcome(() => payload), outcome, JSON.stringify(payload))
  })
})

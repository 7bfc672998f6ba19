import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { type App, RivetrError } from '@rivetr/sdk'
import {
  createDeployStage,
  type DeployStage,
  type DeployStageOptions,
  overSocket,
  tester,
} from '@rivetr/testing'
import { eventually } from '@rivetr/testing/suites/eventually'
import { type Kind, kinds } from './hosts/git-hosts.ts'
import { Outbox } from './outbox.ts'
import type { StatusView } from './status-view.ts'

import { type Answering, TestGitHost } from './test-git-host.ts'

const first = 'a'.repeat(40)
const second = 'b'.repeat(40)
const limitMs = 60_000

describe('commit status', { timeout: 300_000 }, () => {
  for (const kind of kinds) {
    it(`${kind} shows a commit pending, then how its deployment ended`, async () => {
      await using scene = await open(kind, {
        config: { 'commit-status': { dashboardUrl: 'https://rivetr.example.test/' } },
      })
      const { stage, host, app } = scene
      const live = await stage.deploy(app.id, { kind: 'push', commit: first })
      await scene.shows(first, 'success')
      const url = `https://rivetr.example.test/deployments/${live.id}`
      const common = { commit: first, context: 'rivetr/shop', url }
      const [success, ...more] = host.shown.filter(({ state }) => state !== 'pending')
      assert.deepEqual([success, more], [{ ...common, state: 'success', description: 'live as v1' }, []])
      for (const { state: _, ...pending } of host.shown.filter(({ state }) => state === 'pending'))
        assert.deepEqual(pending, { ...common, description: 'being deployed' })

      stage.fakes.builder.failNext(new RivetrError('build_failed', 'the compiler says S3CRET'))
      const failed = await stage.request(app.id, { kind: 'push', commit: second })
      await stage.reaches(failed.id, 'failed')
      const word = { github: 'failure', gitlab: 'failed', gitea: 'failure' }[kind]
      await scene.shows(second, word)
      assert.equal(host.shown.at(-1)?.description, 'failed in step build')
      assert.doesNotMatch(JSON.stringify(host.asked), /S3CRET/)
    })
  }

  it('tells nothing of an app without a token, and of no deployment before it was set', async () => {
    await using scene = await open('github', { connect: false })
    const { stage, host, app } = scene
    await stage.deploy(app.id, { commit: first })
    assert.deepEqual(await scene.page(), { items: [] })
    await stage.clock.advance(1_000)
    await scene.connect()
    await stage.clock.advance(11 * 60_000) // it looks through the deployments
    await stage.deploy(app.id, { commit: second })
    await scene.shows(second, 'success')
    assert.deepEqual(new Set(host.shown.map(({ commit }) => commit)), new Set([second]))
  })

  it('a restart says nothing of a commit, and what is superseded or cancelled did not succeed', async () => {
    await using scene = await open('github')
    const { stage, app, host } = scene
    await stage.deploy(app.id, { commit: first })
    await scene.shows(first, 'success')
    const told = host.shown.length
    await stage.deploy(app.id, { kind: 'restart' })
    const goOn = stage.fakes.source.hang()
    const cancelled = await stage.request(app.id, { kind: 'push', commit: second })
    await stage.reaches(cancelled.id, 'fetching')
    await stage.deployments.cancel(tester, cancelled.id)
    goOn()
    await scene.shows(second, 'error')
    assert.deepEqual([...new Set(host.shown.slice(told).map(({ commit }) => commit))], [second])
    assert.equal(host.shown.at(-1)?.description, 'cancelled')
  })

  it('tries again after a growing pause, and the newest state is what arrives', async () => {
    await using scene = await open('github')
    const { stage, host, app } = scene
    const broken: Answering = { status: 502, body: '<html>bad gateway</html>' }
    host.next.push(broken, broken)
    await stage.deploy(app.id, { commit: first })
    const failing = await scene.status(first, ({ failures }) => failures > 0)
    assert.match(String(failing.fault), /^502/)
    await scene.status(first, ({ wanted }) => wanted === 'success')
    await stage.clock.advance(4_900)
    assert.equal(host.asked.length, 1)
    await stage.clock.advance(100)
    await scene.status(first, ({ failures }) => failures === 2)
    await stage.clock.advance(9_900)
    assert.equal(host.asked.length, 2)
    await stage.clock.advance(100)
    await scene.shows(first, 'success')
    assert.deepEqual(
      host.shown.map(({ state }) => state),
      ['success'],
    )
    const sent = await scene.status(first, ({ state }) => state === 'sent')
    assert.deepEqual([sent.failures, sent.fault, sent.retryAt], [0, undefined, undefined])
  })

  const limits: readonly (readonly [string, Answering])[] = [
    ['429 and Retry-After', { status: 429, headers: { 'retry-after': '600' } }],
    ['403 and Retry-After', { status: 403, headers: { 'retry-after': '600' } }],
    [
      '403 and x-ratelimit-remaining: 0',
      {
        status: 403,
        headers: {
          'x-ratelimit-remaining': '0',
          'x-ratelimit-reset': String(Date.parse('2026-01-01T00:10:00Z') / 1_000),
        },
      },
    ],
    ['503 and a date', { status: 503, headers: { 'retry-after': 'Thu, 01 Jan 2026 00:10:00 GMT' } }],
  ]
  for (const [name, limited] of limits) {
    it(`waits as long as the git host says: ${name}`, async () => {
      await using scene = await open('github')
      const { stage, host, app } = scene
      host.next.push(limited)
      await stage.deploy(app.id, { commit: first })
      const waiting = await scene.status(first, ({ retryAt }) => retryAt !== undefined)
      assert.equal(waiting.retryAt, '2026-01-01T00:10:00.000Z')
      await stage.deploy(app.id, { commit: second }) // another commit is left alone, too
      await scene.status(second, ({ retryAt }) => retryAt !== undefined)
      await stage.clock.advance(590_000)
      assert.equal(host.asked.length, 1)
      await stage.clock.advance(11_000)
      await scene.shows(first, 'success')
      await scene.shows(second, 'success')
    })
  }

  const refusals: readonly (readonly [number, RegExp])[] = [
    [401, /the token is not taken/],
    [403, /may not set statuses/],
    [404, /no such repository or commit/],
    [422, /^422: no$/],
  ]
  for (const [status, reason] of refusals) {
    it(`gives up at ${status}, says why, and begins anew with another token`, async () => {
      await using scene = await open('gitea')
      const { stage, host, app } = scene
      host.next.push({ status, body: { message: 'no' } })
      await stage.deploy(app.id, { commit: first })
      const last = await scene.status(
        first,
        ({ state, wanted }) => state === 'given-up' && wanted === 'success',
      )
      assert.match(String(last.fault), reason)
      await stage.clock.advance(5 * 60_000)
      assert.equal(host.asked.length, 1)
      await scene.connect()
      await scene.shows(first, 'success')
    })
  }

  it('GitLab: a commit that is pending already is no failure', async () => {
    await using scene = await open('gitlab')
    const { stage, host, app } = scene
    host.shown.push({ commit: first, state: 'pending', context: 'rivetr/shop', description: '' })
    const goOn = stage.fakes.source.hang()
    await stage.request(app.id, { commit: first })
    const sent = await scene.status(first, ({ state }) => state === 'sent')
    assert.deepEqual([sent.sent, sent.fault], ['pending', undefined])
    assert.equal(host.asked.length, 1)
    goOn()
    await scene.shows(first, 'success')
  })

  it('follows a redirect within the origin as it was sent, and takes the token nowhere else', async () => {
    await using scene = await open('github')
    await using foreign = await TestGitHost.listen('github')
    const { stage, host, app } = scene
    const renamed = { location: `/api/v3/repos/org/app/statuses/${first}` }
    host.next.push({ status: 301, headers: renamed }, { status: 307, headers: renamed })
    await stage.deploy(app.id, { commit: first })
    await scene.shows(first, 'success')
    assert.ok(
      host.asked.every(({ method, headers }) => method === 'POST' && headers.authorization !== undefined),
    )

    const away = [`${foreign.url}/x`, host.url.replace('127.0.0.1', 'localhost'), 'https://:x', '']
    for (const [index, location] of away.entries()) {
      const commit = String(index + 1).repeat(40)
      host.next.push({ status: 302, headers: { location } })
      await stage.deploy(app.id, { commit })
      const { fault } = await scene.status(commit, ({ state }) => state === 'given-up')
      assert.match(String(fault), /the token stays here/, location)
    }
    const circle: Answering = { status: 302, headers: { location: '/round' } }
    host.next.push(...Array.from({ length: 4 }, () => circle))
    await stage.deploy(app.id, { commit: second })
    assert.match(String((await scene.status(second, ({ state }) => state === 'given-up')).fault), /circles/)
    assert.deepEqual(foreign.asked, [])
  })

  it('sends the token only to the host for which it was given, also when the source moves', async () => {
    await using scene = await open('github')
    await using foreign = await TestGitHost.listen('github')
    const { stage, app, host } = scene
    await stage.apps.update(tester, app.id, {
      source: { kind: 'git', url: `${foreign.url}/org/app.git`, branch: 'main' },
    })
    await stage.deploy(app.id, { commit: first })
    const { fault } = await scene.status(first, ({ state }) => state === 'given-up')
    assert.match(String(fault), /the token is for 127\.0\.0\.1:\d+, the source is at 127\.0\.0\.1:\d+/)
    assert.deepEqual([host.asked, foreign.asked], [[], []])
  })

  it('I10: goes to no git host that is not public or allowed, and says how it is allowed', async () => {
    await using scene = await open('github', { config: { kernel: { outgoingAllow: [] } } })
    await scene.stage.deploy(scene.app.id, { commit: first })
    const { fault } = await scene.status(first, ({ state }) => state === 'given-up')
    assert.match(String(fault), /127\.0\.0\.1 is no public address: .*outgoing_allow = \["127\.0\.0\.1"\]/)
    assert.deepEqual(scene.host.asked, [])
  })

  it('keeps the token to itself: not in the API, the log, the database or what the git host is said to have said', async () => {
    await using scene = await open('gitea')
    const { stage, host, app } = scene
    host.next.push({ status: 401, body: { message: `${host.token} is no token` } })
    await stage.deploy(app.id, { commit: first })
    const { fault } = await scene.status(first, ({ state }) => state === 'given-up')
    assert.match(String(fault), /^401: … is no token/)
    assert.ok(!JSON.stringify([await scene.page(), stage.kernel.log]).includes(host.token))
    for (const file of await readdir(stage.kernel.dataDir))
      if (/\.db/.test(file))
        assert.ok(!(await readFile(join(stage.kernel.dataDir, file))).includes(host.token), file)
  })

  it('sends after a restart what was not sent, and what changed while nobody was told', async () => {
    const dataDir = join(await mkdtemp(join(tmpdir(), 'rivetr-commit-status-')), 'data')
    try {
      await using host = await TestGitHost.listen('github')
      {
        await using scene = await open('github', { dataDir, host })
        host.next.push({ status: 500 })
        await scene.stage.deploy(scene.app.id, { commit: first })
        await scene.status(first, ({ failures, wanted }) => failures === 1 && wanted === 'success')
        assert.deepEqual(host.shown, [])
      }
      {
        // Without the plugin nobody hears that the second commit is live.
        await using stage = await createDeployStage({ dataDir, builtIns: ['http', 'auth'], config: quiet })
        await stage.deploy('shop', { commit: second })
      }
      await using scene = await open('github', { dataDir, host, connect: false })
      await scene.shows(second, 'success')
      await scene.stage.clock.advance(10_000)
      await scene.shows(first, 'success')
    } finally {
      await rm(join(dataDir, '..'), { recursive: true, force: true })
    }
  })

  it('a slow git host holds up the statuses of its own app alone', async () => {
    await using scene = await open('github')
    await using other = await TestGitHost.listen('gitea')
    const { stage, host } = scene
    const released = Promise.withResolvers<undefined>()
    host.next.push(() => released.promise)
    const blog = await stage.createApp({ name: 'blog', source: { url: `${other.url}/org/app.git` } })
    await scene.connect(other, blog.id)
    await stage.deploy(scene.app.id, { commit: first })
    await stage.deploy(blog.id, { commit: second })
    await eventually('blog', () => other.shown.find(({ state }) => state === 'success'), limitMs)
    assert.deepEqual(host.shown, [])
    released.resolve(undefined)
    await scene.shows(first, 'success')
  })

  it('knows where the API is, and takes no token that would go in the clear', async () => {
    await using scene = await open('github', { connect: false })
    const { stage } = scene
    let number = 0
    const put = async (url: string, body: object) => {
      number += 1
      const { id } = await stage.createApp({ name: `app-${number}`, source: { url } })
      const answer = await scene.api('PUT', `/api/apps/${id}/commit-status`, body)
      return answer.status === 200 ? (answer.body as { apiUrl: string }).apiUrl : answer.status
    }
    const token = 't0ken'
    const own = 'https://git.example.test/org/app.git'
    const rows: readonly (readonly [string, object, string | number])[] = [
      ['https://github.com/org/app.git', { token }, 'https://api.github.com'],
      ['git@gitlab.com:group/sub/app.git', { token }, 'https://gitlab.com/api/v4'],
      ['https://codeberg.org/org/app', { token }, 'https://codeberg.org/api/v1'],
      [own, { token, kind: 'github' }, 'https://git.example.test/api/v3'],
      [
        'ssh://git@git.example.test:2222/org/app',
        { token, kind: 'gitea' },
        'https://git.example.test/api/v1',
      ],
      [own, { token, kind: 'gitea', apiUrl: 'https://x.test/git/api/v1/' }, 'https://x.test/git/api/v1'],
      ['http://git.example.test/org/app.git', { token, kind: 'gitea' }, 'http://git.example.test/api/v1'],
      ['http://git.example.test/o/a', { token, kind: 'gitea', apiUrl: 'http://other.test/api/v1' }, 400],
      [own, { token, kind: 'gitea', apiUrl: 'http://git.example.test/api/v1' }, 400],
      [own, { token, kind: 'gitea', apiUrl: 'https://u:p@git.example.test/api/v1' }, 400],
      [own, { token, kind: 'gitea', apiUrl: 'https://git.example.test/api?x=1' }, 400],
      [own, { token, kind: 'gitea', apiUrl: 'file:///etc' }, 400],
      [own, { token }, 400],
      [own, { token, kind: 'svn' }, 400],
      [own, { kind: 'gitea' }, 400],
      ...['', 'a b', 'a\r\nX: y', 'é'].map((odd) => [own, { token: odd, kind: 'gitea' }, 400] as const),
    ]
    for (const [url, body, expected] of rows)
      assert.equal(await put(url, body), expected, JSON.stringify([url, body]))
    assert.equal((await scene.api('DELETE', '/api/apps/app-1/commit-status')).status, 204)
    assert.equal((await scene.api('DELETE', '/api/apps/app-1/commit-status')).status, 404)
  })

  it('lets the newest win in the outbox, in whatever order it hears', async () => {
    await using scene = await open('github', { connect: false })
    const { stage } = scene
    const outbox = new Outbox(stage.kernel.kernel.parts.database, stage.clock)
    const pending = { state: 'pending', description: 'being deployed' } as const
    const success = { state: 'success', description: 'live as v1' } as const
    const failure = { state: 'failure', description: 'failed' } as const
    const told = async (...steps: readonly (readonly [string, Parameters<Outbox['want']>[3]])[]) => {
      await outbox.forget('a')
      for (const [deployment, wanted] of steps) await outbox.want('a', first, deployment, wanted)
      const [row] = (await outbox.list('a')).items
      return [row?.deployment, row?.wanted]
    }
    assert.deepEqual(await told(['d1', pending], ['d1', success]), ['d1', 'success'])
    assert.deepEqual(await told(['d1', success], ['d1', pending]), ['d1', 'success'])
    assert.deepEqual(await told(['d1', success], ['d2', pending]), ['d2', 'pending'])
    assert.deepEqual(await told(['d2', failure], ['d1', success]), ['d2', 'failure'])
    // What was sent for an older wish settles no newer one.
    await told(['d1', pending])
    const [due] = await outbox.due()
    assert.ok(due !== undefined)
    await outbox.want('a', first, 'd1', success)
    await outbox.sent(due)
    const [row] = (await outbox.list('a')).items
    assert.deepEqual([row?.sent, row?.wanted, row?.state], ['pending', 'success', 'sending'])
    await outbox.giveUp(due, 'no')
    await outbox.want('a', first, 'd1', failure)
    assert.equal((await outbox.due()).length, 0)
    await outbox.want('a', first, 'd2', pending)
    assert.equal((await outbox.due()).length, 1)
  })

  it('forgets an app with its token', async () => {
    await using scene = await open('github')
    const { stage, app } = scene
    await stage.deploy(app.id, { commit: first })
    await scene.shows(first, 'success')
    await stage.apps.remove(tester, app.id)
    const { rows } = stage.kernel.kernel.parts.database
    const { Status } = await import('./entities.ts')
    await eventually(
      'no rows',
      async () => ((await rows.count(Status, {})) === 0 ? true : undefined),
      limitMs,
    )
    assert.doesNotMatch(await stage.kernel.kernel.parts.database.drift(), /commit_status__/)
  })
})

const quiet = { http: { port: 0 } }

interface SceneOptions extends Pick<DeployStageOptions, 'dataDir'> {
  readonly config?: Record<string, Record<string, unknown>>
  readonly connect?: boolean
  readonly host?: TestGitHost
}

/** An app whose source is at a git host of this kind, in a world of fakes. */
async function open(kind: Kind, options: SceneOptions = {}) {
  const { config = {}, connect = true, dataDir } = options
  const host = options.host ?? (await TestGitHost.listen(kind))
  const stage: DeployStage = await createDeployStage({
    builtIns: ['http', 'auth', 'commit-status'],
    config: { ...quiet, ...config },
    ...(dataDir === undefined ? {} : { dataDir }),
  })
  const known = (await stage.apps.list(tester)).items.find(({ name }) => name === 'shop')
  const app: App = known ?? (await stage.createApp({ source: { url: `${host.url}/org/app.git` } }))
  const api = overSocket(join(stage.kernel.dataDir, 'api.sock'))
  const scene = {
    stage,
    host,
    app,
    api,
    async connect(to = host, id = app.id): Promise<void> {
      await api('PUT', `/api/apps/${id}/commit-status`, { kind: to.kind, token: to.token })
    },
    page: async () => (await api('GET', `/api/apps/${app.id}/commit-status`)).body as { items: StatusView[] },
    /** The row of a commit once this holds. */
    status: (commit: string, holds: (view: StatusView) => boolean): Promise<StatusView> =>
      eventually(
        `the status of ${commit}`,
        async () => (await scene.page()).items.find((view) => view.commit === commit && holds(view)),
        limitMs,
      ),
    /** Once the git host shows this last. */
    shows: (commit: string, state: string) =>
      eventually(
        `${commit} is ${state}`,
        () => host.shown.findLast((each) => each.commit === commit)?.state === state || undefined,
        limitMs,
      ),
    async [Symbol.asyncDispose]() {
      await stage[Symbol.asyncDispose]()
      if (options.host === undefined) await host[Symbol.asyncDispose]()
    },
  }
  if (connect) await scene.connect()
  return scene
}

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Deployment } from '@rivetr/sdk'
import type { Repository } from '../machine/git-server.ts'
import { temporaryFolder } from '../machine/this-run.ts'
import { WorkingCopy } from '../machine/working-copy.ts'
import { type DeliveryAnswer, deliver } from '../stage/git-host.ts'
import { github } from '../stage/git-hosts/github.ts'
import { fetchHost } from '../stage/host-request.ts'
import { stageRuntime } from '../stage/runtimes.ts'
import { Stage, StageApp } from '../stage/stage.ts'

/** A shell ends long before the second is over that a worker has to stay up; a Node may not. */
const work = 'while :; do sleep 1; done\n'

describe('two apps in one repository', () => {
  let stage: Stage
  let repository: Repository
  let copy: WorkingCopy
  let first: string
  const apps: Record<string, StageApp> = {}

  before(async () => {
    const { example, config } = await stageRuntime('native')
    stage = await Stage.open({ folder: await temporaryFolder(), config })
    repository = await stage.git.createRepository('acme/mono')
    copy = await WorkingCopy.create({ folder: join(stage.folder, 'copies/mono'), repository })
    const server = await readFile(join(example, 'server.js'), 'utf8')
    const files = (name: string, procfile: string) => ({
      [`apps/${name}/server.js`]: server,
      [`apps/${name}/version.txt`]: `${name}-1\n`,
      [`apps/${name}/Procfile`]: procfile,
    })
    await copy.write({
      ...files('shop', 'web: node server.js\n'),
      ...files('desk', 'web: node server.js\nworker: sh work.sh\n'),
      'apps/desk/work.sh': work,
    })
    first = await copy.commit('both')
    await copy.git('tag', '--annotate', '--message=for people', 'v1')
    await copy.git('push', '--quiet', '--tags', 'origin', 'HEAD:refs/heads/main')
    for (const name of ['shop', 'desk']) {
      await stage.rivetr.client.apps.create({
        name,
        runtime: 'native',
        source: { url: repository.url, directory: `apps/${name}` },
        watchPaths: [`apps/${name}/**`],
        health: { path: '/healthz' },
        routes: [{ host: `${name}.test` }],
      })
      const { secret } = await stage.rivetr.client.apps.setWebhook(name)
      const app = new StageApp(stage, name, repository, copy, secret)
      apps[name] = app
      const { state, reason } = await app.settled((await stage.rivetr.client.apps.deploy(name)).id)
      assert.equal(state, 'live', reason)
    }
  })

  after(() => stage?.[Symbol.asyncDispose]())

  const appOf = (name: string) => apps[name] as StageApp
  const versionOf = async (name: string) => {
    const { body } = await fetchHost(stage.rivetr.proxyPort, '/version', `${name}.test`)
    return (JSON.parse(body) as { version: string }).version
  }

  /** A push of these files, and what the webhooks of both apps are told of it. */
  async function push(files: Readonly<Record<string, string>>): Promise<Record<string, DeliveryAnswer>> {
    await copy.write(files)
    const commit = await copy.commit('change')
    await copy.push('main')
    const { headers, body } = github.pushed({
      repositoryUrl: repository.url,
      branch: 'main',
      commit,
      message: 'change',
    })
    const payload = JSON.parse(body) as { commits: object[] }
    payload.commits = [
      { id: commit, message: 'change', added: [], removed: [], modified: Object.keys(files) },
    ]
    const url = `http://127.0.0.1:${stage.rivetr.apiPort}`
    const answers: Record<string, DeliveryAnswer> = {}
    for (const name of ['shop', 'desk'])
      answers[name] = await deliver(url, github, appOf(name).secret, {
        headers,
        body: JSON.stringify(payload),
      })
    return answers
  }

  async function outcome(name: string, answers: Record<string, DeliveryAnswer>): Promise<Deployment> {
    const found = answers[name]?.body.deliveries?.find(
      ({ app, deployment }) => app === name && deployment !== undefined,
    )
    assert.ok(found?.deployment, JSON.stringify(answers[name]))
    return appOf(name).settled(found.deployment)
  }

  const deploymentsOf = async (name: string) =>
    (await stage.rivetr.client.apps.deployments(name)).items.map(({ id }) => id)

  test('each is served from its own folder', async () => {
    assert.deepEqual([await versionOf('shop'), await versionOf('desk')], ['shop-1', 'desk-1'])
  })

  test('a push deploys the app whose paths it changed, and the other goes on as it is', async () => {
    const before = [await deploymentsOf('desk'), await appOf('desk').standing()]
    const answers = await push({ 'apps/shop/version.txt': 'shop-2\n', 'README.md': 'more\n' })
    assert.equal((await outcome('shop', answers)).state, 'live')
    assert.deepEqual([await versionOf('shop'), await versionOf('desk')], ['shop-2', 'desk-1'])
    assert.deepEqual([await deploymentsOf('desk'), await appOf('desk').standing()], before)
  })

  test('U5: web and worker are deployed both or neither: a worker that falls leaves every old process running', async () => {
    const standing = await appOf('desk').standing()
    assert.equal(standing.length, 2, 'web and worker')
    const answers = await push({
      'apps/desk/version.txt': 'desk-2\n',
      'apps/desk/work.sh': 'echo no queue here\nexit 3\n',
    })
    const { state, reason } = await outcome('desk', answers)
    assert.equal(state, 'failed', reason)
    assert.match(`${reason}`, /worker\.1 ended with exit code 3/)
    assert.deepEqual(await appOf('desk').standing(), standing)
    assert.equal(await versionOf('desk'), 'desk-1')
    const mended = await outcome('desk', await push({ 'apps/desk/work.sh': work }))
    assert.equal(mended.state, 'live', mended.reason)
    assert.equal(await versionOf('desk'), 'desk-2')
  })

  test('a tag and an exact commit are deployed as they are named; what is not there is said', async () => {
    const { client } = stage.rivetr
    const tagged = await client.apps.deploy('shop', { ref: 'refs/tags/v1' })
    assert.equal(tagged.commit?.id, first)
    assert.equal((await appOf('shop').settled(tagged.id)).state, 'live')
    assert.equal(await versionOf('shop'), 'shop-1')
    await assert.rejects(
      client.apps.deploy('shop', { ref: 'refs/tags/v9' }),
      /tag v9 not found at .*; tags: v1/,
    )
    const gone = await appOf('shop').settled(
      (await client.apps.deploy('shop', { commit: '0123456789'.repeat(4) })).id,
    )
    assert.equal(gone.state, 'failed')
    assert.match(gone.reason ?? '', /commit 0123456789\d* is not on branch main/)
    const { items } = await client.apps.branches('shop')
    assert.deepEqual(items, [{ name: 'main', commit: await appOf('shop').head() }])
    const head = await appOf('shop').settled(
      (await client.apps.deploy('shop', { commit: items[0]?.commit })).id,
    )
    assert.equal(head.state, 'live')
    assert.equal(await versionOf('shop'), 'shop-2')
  })

  test('a source that cannot be read is refused when an app is created', async () => {
    const { client } = stage.rivetr
    const create = (url: string) => client.apps.create({ name: 'wrong', runtime: 'native', source: { url } })
    await assert.rejects(create(repository.url.replace('mono', 'nowhere')), /there is no repository at/)
    await assert.rejects(create('http://169.254.169.254/x.git'), /no public address/)
    await assert.rejects(create('http://127.0.0.1:1/x.git'), /nothing answers/)
  })
})

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { temporaryFolder } from '../machine/this-run.ts'
import { deliver, type GitHost, type HostMessage, type Push } from '../stage/git-host.ts'
import { bitbucket } from '../stage/git-hosts/bitbucket.ts'
import { generic } from '../stage/git-hosts/generic.ts'
import { forgejo, gitea } from '../stage/git-hosts/gitea.ts'
import { github, githubForm } from '../stage/git-hosts/github.ts'
import { gitlab, gitlabSigned } from '../stage/git-hosts/gitlab.ts'
import { fetchHost } from '../stage/host-request.ts'
import { stageRuntime } from '../stage/runtimes.ts'
import { Stage, type StageApp } from '../stage/stage.ts'

const hosts: readonly GitHost[] = [
  ...[github, githubForm, gitlab, gitlabSigned],
  ...[gitea, forgejo, bitbucket, generic],
]

describe('a round of webhooks', { timeout: 600_000 }, () => {
  let stage: Stage
  let app: StageApp

  before(async () => {
    const runtime = await stageRuntime('native')
    stage = await Stage.open({ folder: await temporaryFolder(), config: runtime.config })
    app = await stage.createApp('shop', runtime.example, {
      runtime: 'native',
      routes: [{ host: 'shop.example.test' }],
      health: { kind: 'http', path: '/healthz', intervalMs: 200, deadlineMs: 30_000 },
    })
  })
  after(() => stage?.[Symbol.asyncDispose]())

  for (const [index, host] of hosts.entries()) {
    test(`${host.name}: a push goes live once; a tag, a deleted branch and other events deploy nothing`, async () => {
      const { rivetr } = stage
      const url = `http://127.0.0.1:${rivetr.apiPort}`
      const version = `round-${index}`
      const message = `Round ${index} of ${host.name} é`
      await app.copy.write({ 'version.txt': version })
      const commit = await app.copy.commit(message)
      await app.copy.push('main')
      const push: Push = { repositoryUrl: app.repository.url, branch: 'main', commit, message }
      const send = (what: HostMessage, delivery?: string) => deliver(url, host, app.secret, what, delivery)
      const countBefore = (await rivetr.client.apps.deployments('shop', { limit: 200 })).items.length

      const forged = await deliver(
        url,
        host,
        `whsec_${Buffer.alloc(32).toString('base64')}`,
        host.pushed(push),
      )
      assert.equal(forged.status, 401)

      const delivery = randomUUID()
      const taken = await send(host.pushed(push), delivery)
      assert.equal(taken.status, 202, JSON.stringify(taken.body))
      const [effect] = taken.body.deliveries ?? []
      assert.ok(effect?.outcome === 'queued' && effect.deployment !== undefined)
      const deployment = await app.settled(effect.deployment)
      assert.equal(deployment.state, 'live', deployment.reason)
      assert.equal(deployment.commit?.id, commit)
      assert.equal(deployment.trigger.kind, 'push')
      const served = await fetchHost(rivetr.proxyPort, '/version')
      assert.equal((JSON.parse(served.body) as { version: string }).version, version)

      const again = await send(host.pushed(push), delivery)
      assert.deepEqual([again.status, again.body.deliveries?.[0]?.outcome], [200, 'repeated'])
      for (const what of [host.tagged(push, 'main'), host.branchDeleted(push), host.other(push)]) {
        const { status, body } = await send(what)
        assert.equal(status, 200, JSON.stringify(body))
        assert.match(String(body.deliveries?.[0]?.outcome), /^(ignored|ping)$/, JSON.stringify(body))
        assert.ok(body.deliveries?.[0]?.reason)
      }

      const { items, rejected } = await rivetr.client.apps.deliveries('shop', { limit: 4 })
      assert.deepEqual(items.map(({ event }) => event === 'ping' || event === 'other' || event).reverse(), [
        'push',
        'tag',
        'delete',
        true,
      ])
      const pushed = items.at(-1)
      assert.deepEqual(
        [pushed?.ref, pushed?.commit, pushed?.title, pushed?.deployment, pushed?.outcome, pushed?.repeats],
        ['refs/heads/main', commit, message, deployment.id, 'queued', 1],
      )
      assert.ok((rejected.providers[host.path.replace('/webhooks/', '')] ?? 0) > 0)
      const { items: all } = await rivetr.client.apps.deployments('shop', { limit: 200 })
      assert.equal(all.length, countBefore + 1)
      assert.equal((await fetchHost(rivetr.proxyPort, '/version')).status, 200)
    })
  }
})

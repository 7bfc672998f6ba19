import assert from 'node:assert/strict'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { App } from '@rivetr/sdk'
import { callEngine } from '../machine/engine-socket.ts'
import { temporaryFolder, thisRunsEngine } from '../machine/this-run.ts'
import { fetchHost } from '../stage/host-request.ts'
import { type StageRuntime, stageRuntime } from '../stage/runtimes.ts'
import { Stage, type StageApp } from '../stage/stage.ts'

const keepReleases = 2

for (const name of ['docker', 'native'] as const) {
  describe(`retention on ${name}`, () => {
    let runtime: StageRuntime
    let stage: Stage
    let app: StageApp
    let id: string

    before(async () => {
      runtime = await stageRuntime(name)
      const folder = await temporaryFolder()
      const kernel = { data_dir: join(folder, 'data'), keep_releases: keepReleases }
      stage = await Stage.open({ folder, config: { ...runtime.config, kernel } })
      app = await stage.createApp('shop', runtime.example, {
        runtime: name,
        routes: [{ host: 'shop.example.test' }],
        health: { kind: 'http', path: '/healthz', intervalMs: 200, deadlineMs: 30_000 },
      })
      id = ((await stage.rivetr.client.apps.get('shop')) as App).id
    })

    after(async () => {
      await stage?.[Symbol.asyncDispose]()
    })

    /** Images of ours, or folders of releases, that there are now. */
    async function artefacts(): Promise<string[]> {
      if (name === 'native') {
        const folder = join(stage.folder, 'data-apps', id)
        return readdirSync(folder).filter((entry) => existsSync(join(folder, entry, 'server.js')))
      }
      const filters = encodeURIComponent(JSON.stringify({ label: [`rivetr.app=${id}`] }))
      const { body } = await callEngine(thisRunsEngine().socketPath, {
        path: `/images/json?filters=${filters}`,
      })
      return (JSON.parse(body) as { Id: string }[]).map(({ Id }) => Id)
    }

    async function removeByHand(artefact: string): Promise<void> {
      if (name === 'native') return rmSync(join(stage.folder, 'data-apps', id, artefact), { recursive: true })
      const path = `/images/${artefact}?force=1`
      const { status, body } = await callEngine(thisRunsEngine().socketPath, { method: 'DELETE', path })
      assert.equal(status, 200, body)
    }

    async function version(): Promise<string> {
      const { body } = await fetchHost(stage.rivetr.proxyPort, '/version')
      return (JSON.parse(body) as { version: string }).version
    }

    test('what is outside of the window goes, and a rollback to it is refused; inside it works', async () => {
      const ids: string[] = []
      for (const each of ['one', 'two', 'three']) {
        const deployment = await app.pushAndSettle({ ...runtime.files, 'version.txt': each })
        assert.equal(deployment.state, 'live', deployment.reason)
        ids.push(deployment.id)
      }
      const [first = '', second = ''] = ids
      for (const giveUpAt = Date.now() + 30_000; (await artefacts()).length > keepReleases; await sleep(100))
        assert.ok(Date.now() < giveUpAt, `still ${(await artefacts()).length}`)
      assert.equal((await artefacts()).length, keepReleases)
      assert.deepEqual(readdirSync(join(stage.folder, 'data', 'workspaces')), [])

      const standing = await app.standing()
      await assert.rejects(stage.rivetr.client.deployments.rollback(first), {
        code: 'conflict',
        message: /release v1 was removed/,
      })
      assert.deepEqual(await app.standing(), standing)
      const back = await app.settled((await stage.rivetr.client.deployments.rollback(second)).id)
      assert.equal(back.state, 'live', back.reason)
      assert.equal(await version(), 'two')
    })

    test('B7: what was removed by hand is refused before anything stops', async () => {
      const { items } = await stage.rivetr.client.apps.deployments('shop')
      const target = items.find(({ release }) => release === 3)
      assert.ok(target)
      const { items: releases } = await stage.rivetr.client.apps.releases('shop')
      const artefact = releases.find(({ number }) => number === 3)?.artefact
      assert.ok(artefact)
      for (const giveUpAt = Date.now() + 30_000; (await app.standing()).length > 1; await sleep(100))
        assert.ok(Date.now() < giveUpAt, 'the old replica still stands')
      await removeByHand(artefact.kind === 'oci' ? artefact.image : target.id)
      const standing = await app.standing()
      await assert.rejects(stage.rivetr.client.deployments.rollback(target.id), {
        code: 'conflict',
        message: /release v3 .* gone.*; deploy its commit/,
      })
      assert.deepEqual(await app.standing(), standing)
      assert.equal(await version(), 'two')
    })

    if (name === 'docker')
      test('B7 U10: a release is its image, whatever has the tag of it', async () => {
        const { items: releases } = await stage.rivetr.client.apps.releases('shop')
        const imageOf = (release: number) => {
          const artefact = releases.find(({ number }) => number === release)?.artefact
          return artefact?.kind === 'oci' ? artefact.image : ''
        }
        const { items } = await stage.rivetr.client.apps.deployments('shop')
        const idOf = (release: number) => items.findLast((each) => each.release === release)?.id ?? ''
        await tag(imageOf(2), idOf(3))
        const standing = await app.standing()
        await assert.rejects(stage.rivetr.client.deployments.rollback(idOf(3)), {
          code: 'conflict',
          message: /image of release v3 .* is gone/,
        })
        assert.deepEqual(await app.standing(), standing)

        const fourth = await app.pushAndSettle({ 'version.txt': 'four' })
        assert.equal(fourth.state, 'live', fourth.reason)
        const { items: now } = await stage.rivetr.client.apps.releases('shop')
        const artefact = now.find(({ number }) => number === fourth.release)?.artefact
        assert.ok(artefact?.kind === 'oci')
        await tag(artefact.image, idOf(2))
        const back = await app.settled((await stage.rivetr.client.deployments.rollback(idOf(2))).id)
        assert.equal(back.state, 'live', back.reason)
        assert.equal(await version(), 'two')
        const filters = encodeURIComponent(JSON.stringify({ label: [`rivetr.deployment=${back.id}`] }))
        const { body } = await callEngine(thisRunsEngine().socketPath, {
          path: `/containers/json?filters=${filters}`,
        })
        assert.deepEqual(
          (JSON.parse(body) as { ImageID: string }[]).map(({ ImageID }) => ImageID),
          [imageOf(2)],
        )
      })

    /** Gives an image the tag that the build of a deployment gave to another. */
    async function tag(image: string, deployment: string): Promise<void> {
      const path = `/images/${image}/tag?repo=rivetr-shop&tag=${deployment}`
      const { status, body } = await callEngine(thisRunsEngine().socketPath, { method: 'POST', path })
      assert.equal(status, 201, body)
    }
  })
}

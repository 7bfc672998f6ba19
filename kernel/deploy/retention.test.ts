import assert from 'node:assert/strict'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Releases } from '@rivetr/sdk'
import { createDeployStage, type DeployStage, eventually, tester } from '@rivetr/testing'

const keep = (keepReleases: number, keepDeployments = 100) => ({ kernel: { keepReleases, keepDeployments } })

/** Deployments one after the other, each with a release of its own; their ids, the oldest first. */
async function deployed(stage: DeployStage, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let number = 0; number < count; number++) ids.push((await stage.deploy('shop')).id)
  return ids
}

/** Numbers of the releases whose image is still there. */
async function withImage({ kernel, fakes }: DeployStage): Promise<number[]> {
  const there = new Set((await fakes.images.list()).map(({ id }) => id))
  const releases = await kernel.get(Releases).list(tester, 'shop')
  return releases
    .filter(({ artefact }) => artefact.kind === 'oci' && there.has(artefact.image))
    .map(({ number }) => number)
}

function trimmed(stage: DeployStage, numbers: number[]): Promise<true> {
  return stage.until(`images of ${numbers}`, async () =>
    (await withImage(stage)).join() === numbers.join() ? true : undefined,
  )
}

test('B7: images of releases outside of the window go, and a rollback to one is refused before anything stops', async () => {
  await using stage = await createDeployStage({ config: keep(3) })
  await stage.createApp()
  const [first = '', , third = ''] = await deployed(stage, 5)
  await trimmed(stage, [5, 4, 3])
  await eventually('end of the old replica', () => stage.fakes.runtime.runningSpecs.length === 1 || undefined)
  const running = stage.fakes.runtime.runningSpecs
  await assert.rejects(stage.deployments.rollback(tester, first), {
    code: 'conflict',
    message:
      /release v1 was removed: the newest 3 are kept \(keep_releases\); deploy its commit [0-9a-f]+ again/,
  })
  assert.deepEqual(stage.fakes.runtime.runningSpecs, running)
  const { id } = await stage.deployments.rollback(tester, third)
  await stage.reaches(id, 'live')
})

test('the live release stays, however old it is', async () => {
  await using stage = await createDeployStage({ config: keep(2) })
  await stage.createApp()
  const [first = ''] = await deployed(stage, 2)
  await stage.reaches((await stage.deployments.rollback(tester, first)).id, 'live')
  stage.fakes.probe.answer = () => ({ healthy: false, detail: 'refused' })
  for (let number = 0; number < 2; number++) {
    const { id } = await stage.request('shop')
    await stage.reaches(id, 'checking')
    await stage.deployments.cancel(tester, id)
  }
  stage.fakes.probe.answer = () => ({ healthy: true, detail: 'well' })
  await stage.clock.advance(10 * 60_000)
  await trimmed(stage, [4, 3, 1])
})

test('an image that another release runs stays: a restart makes a release, and no image', async () => {
  await using stage = await createDeployStage({ config: keep(1) })
  await stage.createApp()
  await stage.deploy('shop')
  await stage.deploy('shop', { kind: 'restart' })
  const [live, old] = await stage.kernel.get(Releases).list(tester, 'shop')
  assert.deepEqual(live?.artefact, old?.artefact)
  await stage.clock.advance(10 * 60_000)
  await trimmed(stage, [2, 1])
})

test('what could not be removed goes with the next round', async () => {
  await using stage = await createDeployStage({ config: keep(1) })
  await stage.createApp()
  const remove = stage.fakes.images.remove.bind(stage.fakes.images)
  stage.fakes.images.remove = async () => {
    throw new Error('in use by a container of somebody')
  }
  await deployed(stage, 2)
  await stage.until('a try', () =>
    stage.kernel.log.some(({ msg }) => /an old image stays: .*in use/.test(String(msg))) ? true : undefined,
  )
  assert.deepEqual(await withImage(stage), [2, 1])
  stage.fakes.images.remove = remove
  await stage.until('the daily round', async () => {
    await stage.clock.advance(60 * 60_000)
    return (await withImage(stage)).join() === '2' ? true : undefined
  })
})

test('old deployments go with their rows and logs; those whose release is kept stay', async () => {
  await using stage = await createDeployStage({ config: keep(2, 3) })
  await stage.createApp()
  await deployed(stage, 2)
  stage.fakes.builder.failNext(new Error('no'))
  const { id: failed } = await stage.request('shop')
  await stage.reaches(failed, 'failed')
  const ids = await deployed(stage, 5)
  const logs = join(stage.kernel.dataDir, 'logs', 'deployments')
  await stage.until('three deployments', async () =>
    (await stage.deployments.list(tester, 'shop')).items.length === 3 ? true : undefined,
  )
  const { items } = await stage.deployments.list(tester, 'shop')
  assert.deepEqual(items.map(({ id }) => id).sort(), ids.slice(2))
  await stage.until('three logs', async () =>
    (await readdir(logs)).sort().join() ===
    ids
      .slice(2)
      .map((id) => `${id}.log`)
      .join()
      ? true
      : undefined,
  )
  await assert.rejects(stage.deployments.get(tester, failed), { code: 'not_found' })
})

test('a workspace that a crash left goes, and that of a deployment under way stays', async () => {
  await using stage = await createDeployStage({ config: { kernel: { fetchTimeoutMs: 3_600_000 } } })
  await stage.createApp()
  const workspaces = join(stage.kernel.dataDir, 'workspaces')
  const { id } = await stage.deploy('shop')
  await mkdir(join(workspaces, id), { recursive: true })
  stage.fakes.source.hang() // to the end: what fetches when Rivetr stops would write where all is removed
  const running = await stage.request('shop')
  await stage.reaches(running.id, 'fetching')
  await stage.clock.advance(10 * 60_000 - 1)
  await stage.clock.advance(1)
  await stage.until('only that of the one under way', async () =>
    (await readdir(workspaces)).join() === running.id ? true : undefined,
  )
})

test('B7: a folder that was removed by hand is refused before anything stops', async () => {
  await using stage = await createDeployStage()
  await stage.createApp({ builder: { kind: 'folder' } })
  const [first = ''] = await deployed(stage, 2)
  const [, old] = await stage.kernel.get(Releases).list(tester, 'shop')
  assert.ok(old?.artefact.kind === 'folder')
  await rm(old.artefact.path, { recursive: true, force: true })
  const running = stage.fakes.runtime.runningSpecs
  await assert.rejects(stage.deployments.rollback(tester, first), {
    code: 'conflict',
    message: /the folder of release v1 .* is gone/,
  })
  assert.deepEqual(stage.fakes.runtime.runningSpecs, running)
})

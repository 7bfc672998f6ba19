import assert from 'node:assert/strict'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { BuildRequest, ImageInfo, Images } from '@rivetr/sdk'
import { ImageBuilder } from './builder.ts'
import { writePinned } from './pinned.ts'

const name = `ghcr.io/acme/site@sha256:${'d'.repeat(64)}`
const pulled: ImageInfo = { id: 'sha256:pulled', ports: [80] } as unknown as ImageInfo
const made: ImageInfo = { id: 'sha256:made', ports: [80] } as unknown as ImageInfo

/** A build of `name` with images that do so. */
async function stage(parts: Partial<Images>) {
  const folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-image-'))
  await writePinned(folder.path, { registry: 'ghcr.io', name })
  const images = {
    find: async () => undefined,
    pull: async () => pulled,
    build: async () => made,
    forget: async () => undefined,
    ...parts,
  } as unknown as Images
  const builder = new ImageBuilder(() => images, { find: async () => undefined })
  const lines: string[] = []
  const build = (signal = new AbortController().signal) =>
    builder.build({
      app: { id: 'a1', name: 'site' },
      deployment: 'd1',
      labels: {},
      onLine: (text: string) => void lines.push(text),
      runtime: 'docker',
      signal,
      tree: { folder: folder.path },
    } as unknown as BuildRequest)
  return { build, lines, [Symbol.asyncDispose]: () => folder.remove() }
}

const forget = () => Promise.reject(new Error('the engine is away'))

test('a name that cannot be taken back fails no build, and hides no reason', async () => {
  await using good = await stage({ forget })
  assert.deepEqual((await good.build()).artefact, { kind: 'oci', image: made.id })
  assert.deepEqual(good.lines, [`the name ${name} stays with the runtime: the engine is away`])
  await using bad = await stage({ forget, build: () => Promise.reject(new Error('the disk is full')) })
  await assert.rejects(bad.build(), /the disk is full/)
})

test('builds of one name come after each other; who gives up waiting holds nobody up', async () => {
  const steps: string[] = []
  const first = Promise.withResolvers<ImageInfo>()
  const begun = Promise.withResolvers<void>()
  let builds = 0
  await using it = await stage({
    find: async () => void steps.push('find'),
    async build() {
      steps.push('build')
      builds += 1
      begun.resolve()
      return builds === 1 ? first.promise : made
    },
    forget: async () => void steps.push('forget'),
  })
  const before = it.build()
  await begun.promise
  const cut = new AbortController()
  const impatient = it.build(cut.signal)
  const after = it.build()
  cut.abort(new Error('cancelled'))
  await assert.rejects(impatient, /cancelled/)
  await new Promise(setImmediate)
  assert.deepEqual(steps, ['find', 'build'])
  first.resolve(made)
  await Promise.all([before, after])
  assert.deepEqual(steps, ['find', 'build', 'forget', 'find', 'build', 'forget'])
})

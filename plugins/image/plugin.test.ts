import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AppInput, Apps, appDraft, RivetrError, Runtime, Source, systemPrincipal } from '@rivetr/sdk'
import { createTestKernel } from '@rivetr/testing'

const image = { kind: 'image', url: 'ghcr.io/acme/site:v1' }
const builtIns = ['image', 'builder-dockerfile', 'git', 'runtime-native', 'runtime-docker']

for (const [title, draft, words] of [
  [
    'a name that is none',
    { source: { kind: 'image', url: 'ghcr.io/A' } },
    /source\.url: .* is not the name of an image/,
  ],
  [
    'a folder of an image',
    { source: { ...image, directory: 'web' } },
    /source\.directory: an image has none/,
  ],
  ['another builder', { source: image, builder: { kind: 'dockerfile' } }, /builder\.kind/],
  [
    'its builder for a repository',
    { source: { url: 'https://git.test/a.git' }, builder: { kind: 'image' } },
    /builder\.kind/,
  ],
  [
    'a runtime without images',
    { source: image, runtime: 'native' },
    /native cannot run what comes of the source image/,
  ],
] satisfies [string, Omit<AppInput, 'name'>, RegExp][])
  test(`an app is refused: ${title}`, async () => {
    await using kernel = await createTestKernel({ builtIns })
    const input = { name: 'site', runtime: 'docker', check: false, ...draft }
    await assert.rejects(
      kernel.get(Apps).create(systemPrincipal('test'), appDraft.parse(input)),
      (error) => RivetrError.is(error) && words.test(error.message + JSON.stringify(error.details)),
    )
  })

test('an image has no branches, and its table is the one that the migrations make', async () => {
  await using kernel = await createTestKernel({ builtIns })
  assert.ok(kernel.get(Runtime, 'docker').accepts.includes('oci'))
  const settings = { ...image, branch: 'main' }
  await assert.rejects(
    kernel.get(Source, 'image').resolve(settings, 'other', new AbortController().signal),
    /an image has no branches/,
  )
  assert.doesNotMatch(await kernel.kernel.parts.database.drift(), /image__/)
})

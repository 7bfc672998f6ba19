import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RivetrError, Source } from '@rivetr/sdk'
import { createTestKernel } from '@rivetr/testing'

const settings = { kind: 'git', url: 'file:///nowhere/app.git', branch: 'main' }
const { signal } = new AbortController()

test('the plugin git boots in a kernel and refuses files of this machine', async () => {
  await using kernel = await createTestKernel({ builtIns: ['git'] })
  await assert.rejects(
    kernel.get(Source, 'git').check(settings, signal),
    (error) => RivetrError.is(error, 'source_failed') && /file:\/\/ are not allowed/.test(error.message),
  )
})

test('the plugin git looks into files of this machine when allow_file says so', async () => {
  await using kernel = await createTestKernel({ builtIns: ['git'], config: { git: { allowFile: true } } })
  await assert.rejects(
    kernel.get(Source, 'git').check(settings, signal),
    (error) => RivetrError.is(error, 'source_failed') && /there is no repository/.test(error.message),
  )
})

test('the tables of the plugin git are those that its migrations make', async () => {
  await using kernel = await createTestKernel({ builtIns: ['git'] })
  assert.doesNotMatch(await kernel.kernel.parts.database.drift(), /git__/)
})

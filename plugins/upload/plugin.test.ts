import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RivetrError, Source } from '@rivetr/sdk'
import { createTestKernel } from '@rivetr/testing'

test('the plugin upload boots in a kernel, and says how a first archive comes', async () => {
  await using kernel = await createTestKernel({ builtIns: ['upload'] })
  const { signal } = new AbortController()
  const settings = { kind: 'upload', url: 'upload:shop', branch: 'main' }
  await assert.rejects(
    kernel.get(Source, 'upload').resolve(settings, 'main', signal),
    (error) => RivetrError.is(error, 'source_failed') && /rivetr deploy APP --from/.test(error.message),
  )
})

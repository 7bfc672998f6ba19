import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Apps, Config, systemPrincipal } from '@rivetr/sdk'
import { createTestKernel } from '@rivetr/testing'

const me = systemPrincipal('test')

test('a kernel boots without any plugin and stops', async () => {
  await using kernel = await createTestKernel()
  assert.match(kernel.get(Config).instance, /^[0-9a-f]{12}$/)
  assert.deepEqual((await kernel.get(Apps).list(me)).items, [])
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Contributions } from '@rivetr/sdk'
import { createDeployStage, packagedPlugin } from '@rivetr/testing'
import plugin from './index.ts'
import pkg from './package.json' with { type: 'json' }

describe('my-plugin', () => {
  it('counts how often each app went live, and shows it on a page', async () => {
    await using stage = await createDeployStage({ plugins: [packagedPlugin(pkg, plugin)] })
    const shop = await stage.createApp()
    await stage.deploy(shop.name)
    await stage.deploy(shop.name)
    const { routes, pages } = stage.kernel.get(Contributions)
    assert.deepEqual(
      pages.map(({ page }) => page.data),
      ['/api/x/my-plugin/counts'],
    )
    const route = routes.find((each) => each.route.path === '/api/x/my-plugin/counts')?.route
    // A notice runs beside the deployment: what it counts is there soon after.
    const counts = await stage.until('the count of two', async () => {
      const answer = await route?.handler({} as Parameters<typeof route.handler>[0])
      return JSON.stringify(answer).includes('2') ? JSON.parse(JSON.stringify(answer)) : undefined
    })
    assert.deepEqual(counts, { items: [{ app: 'shop', deployments: 2 }] })
  })
})

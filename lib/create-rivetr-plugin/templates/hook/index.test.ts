import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createDeployStage, packagedPlugin } from '@rivetr/testing'
import plugin from './index.ts'
import pkg from './package.json' with { type: 'json' }

describe('my-plugin', () => {
  it('lets finished work pass, and says so in the log of the deployment', async () => {
    await using stage = await createDeployStage({ plugins: [packagedPlugin(pkg, plugin)] })
    const app = await stage.createApp()
    const { id } = await stage.deploy(app.name)
    assert.ok((await stage.logOf(id)).includes('the commit is no work in progress'))
  })

  it('refuses work in progress', async () => {
    await using stage = await createDeployStage({ plugins: [packagedPlugin(pkg, plugin)] })
    stage.fakes.source.heads.set('main', { id: 'b'.repeat(40), message: 'WIP: half a shop' })
    const app = await stage.createApp()
    const deployment = await stage.reaches((await stage.request(app.name)).id, 'failed')
    assert.match(deployment.reason ?? '', /begins with "WIP"/)
  })
})

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { kernelKilled } from '../chaos/faults.ts'
import { hardestMoments, type Moment } from '../chaos/moments.ts'
import { type ChaosApp, ChaosScene } from '../chaos/scene.ts'
import { survive } from '../chaos/survive.ts'
import { temporaryFolder } from '../machine/this-run.ts'

/** Where docker differs most from native. `npm run test:chaos` asks everything everywhere. */
const onDocker = /^(building|starting|switching)/

const table: readonly (readonly ['native' | 'docker', readonly Moment[]])[] = [
  ['native', hardestMoments],
  ['docker', hardestMoments.filter(({ name }) => onDocker.test(name))],
]

for (const [runtime, some] of table) {
  describe(`B4 B9 U13: kill -9 of the kernel on ${runtime} while a deployment is`, () => {
    let scene: ChaosScene
    let app: ChaosApp

    before(async () => {
      scene = await ChaosScene.open({ folder: await temporaryFolder(), runtime })
      app = await scene.createApp('shop', { releaseCommand: ['sh', 'release.sh'] })
      const first = await app.app.settled(await app.push())
      assert.equal(first.state, 'live', first.reason)
    })

    after(async () => {
      await scene?.[Symbol.asyncDispose]()
    })

    for (const moment of some) {
      test(moment.name, async () => {
        assert.deepEqual(await survive(app, kernelKilled, moment), [])
      })
    }
  })
}

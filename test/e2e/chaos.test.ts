import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Fault, faults } from '../chaos/faults.ts'
import { type ChaosApp, ChaosScene } from '../chaos/scene.ts'
import { survive } from '../chaos/survive.ts'
import { temporaryFolder } from '../machine/this-run.ts'

/** Docker's part takes longer, so here it is asked where it differs; `npm run test:chaos` asks everywhere. */
const onDocker = [
  'building, in a command',
  'starting, as the replica does',
  'switching, past the commit point',
]

const table: readonly (readonly ['native' | 'docker', readonly Fault[]])[] = [
  ['native', faults],
  ['docker', faults.filter(({ name }) => onDocker.includes(name))],
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

    for (const fault of some) {
      test(fault.name, async () => {
        assert.deepEqual(await survive(app, fault), [])
      })
    }
  })
}

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { launcherTitle, processesIn } from '../../plugins/proxy/launcher/processes.ts'
import type { ChaosScene } from './scene.ts'
import { until } from './until.ts'

/** How long the kernel stays away. */
const downMs = 300

/** What breaks. */
export interface Fault {
  readonly name: string
  readonly endsKernel: boolean
  /** Resolves once all that was broken is back. */
  strike(scene: ChaosScene): Promise<void>
}

export const kernelKilled: Fault = {
  name: 'kill -9 of the kernel',
  endsKernel: true,
  async strike({ stage: { rivetr } }) {
    await rivetr.kill()
    await sleep(downMs)
    await rivetr.start()
  },
}

export const faults: readonly Fault[] = [
  kernelKilled,
  {
    name: 'SIGTERM of the kernel, as for an upgrade',
    endsKernel: true,
    async strike({ stage: { rivetr } }) {
      await rivetr.stop('SIGTERM')
      await rivetr.start()
    },
  },
  {
    name: 'kill -9 of the launcher',
    endsKernel: false,
    async strike({ stage }) {
      const edges = join(stage.folder, 'data', 'plugins', 'proxy', 'edges')
      const launcher = () => processesIn(edges).find(({ name }) => name === launcherTitle)?.pid
      const before = launcher()
      if (before === undefined) throw new Error('there is no launcher')
      process.kill(before, 'SIGKILL')
      await until('another launcher', () => ![undefined, before].includes(launcher()))
    },
  },
]

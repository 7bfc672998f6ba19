import { after, afterEach, before, describe } from 'node:test'
import { lifeTests } from './runtime-life.ts'
import { outputTests } from './runtime-output.ts'
import { type RuntimeSuiteOptions, RuntimeTrial } from './runtime-trial.ts'

/** The contract of `Runtime`, which every implementation must pass. */
export function runtimeSuite(name: string, options: RuntimeSuiteOptions): void {
  describe(`runtime ${name}`, { timeout: 300_000 }, () => {
    const trial = new RuntimeTrial(options)
    before(() => trial.open())
    afterEach(() => trial.tidy())
    after(() => trial.close())
    lifeTests(trial)
    outputTests(trial)
  })
}

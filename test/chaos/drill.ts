// Inside the machine's namespace: every fault in every state, natively and on Docker, and the tables of what was violated.
import { parseArgs } from 'node:util'
import { temporaryFolder } from '../machine/this-run.ts'
import { type Fault, faults } from './faults.ts'
import { type Moment, moments } from './moments.ts'
import { ChaosScene } from './scene.ts'
import { survive } from './survive.ts'

const { values: options } = parseArgs({
  options: {
    fault: { type: 'string', default: '' },
    runtime: { type: 'string' },
    state: { type: 'string', default: '' },
  },
})
const runtimes = (['native', 'docker'] as const).filter((name) => name === (options.runtime ?? name))
const chosenFaults = faults.filter(({ name }) => name.includes(options.fault))
const chosen = moments.filter(({ name }) => name.includes(options.state))

/** Violated invariants by fault, runtime and moment. */
const found = new Map<string, string[]>()
const cell = (fault: Fault, runtime: string, moment: Moment) => `${fault.name} · ${runtime} · ${moment.name}`

for (const fault of chosenFaults)
  for (const runtime of runtimes) {
    let left = [...chosen]
    while (left.length > 0) left = await drill(fault, runtime, left)
  }

for (const fault of chosenFaults) {
  console.log(`\n${fault.name}: violated invariants\n`)
  console.log(row('state', runtimes))
  for (const moment of chosen)
    console.log(
      row(
        moment.name,
        runtimes.map((runtime) => String(found.get(cell(fault, runtime, moment))?.length ?? '-')),
      ),
    )
}
const failed = [...found.values()].filter((violations) => violations.length > 0).length
console.log(`\n${found.size - failed} passed, ${failed} failed, 0 skipped`)
process.exitCode = failed === 0 && found.size > 0 ? 0 : 1

function row(name: string, cells: readonly string[]): string {
  return `  ${name.padEnd(36)}${cells.map((text) => text.padStart(8)).join('')}`
}

/** Goes on while nothing is violated; what is left is for a new scene. */
async function drill(
  fault: Fault,
  runtime: (typeof runtimes)[number],
  some: readonly Moment[],
): Promise<Moment[]> {
  await using scene = await ChaosScene.open({ folder: await temporaryFolder(), runtime })
  const app = await scene.createApp('shop', { releaseCommand: ['sh', 'release.sh'] })
  const first = await app.app.settled(await app.push())
  if (first.state !== 'live') throw new Error(`the app does not run on ${runtime}: ${first.reason}`)
  for (const [index, moment] of some.entries()) {
    const violations = await survive(app, fault, moment)
    found.set(cell(fault, runtime, moment), violations)
    console.log(`${violations.length === 0 ? '✔' : '✖'} ${cell(fault, runtime, moment)}`)
    for (const violation of violations) console.log(`    ${violation}`)
    if (violations.length > 0) return some.slice(index + 1)
  }
  return []
}

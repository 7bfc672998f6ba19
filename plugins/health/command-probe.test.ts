import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { healthSettings, type ProbeTarget, RivetrError, type Runtime } from '@rivetr/sdk'
import { healthProbeSuite } from '@rivetr/testing/suites/health-probe'
import { CommandProbe } from './command-probe.ts'

/** A runtime that knows three commands, and nothing but `exec`. */
const runtime = {
  capabilities: ['exec'],
  async exec(_replica: string, [program]: readonly string[], signal: AbortSignal) {
    signal.throwIfAborted()
    if (program === 'well') return { exitCode: 0, output: '' }
    if (program === 'unwell') return { exitCode: 2, output: 'first\nno response\n' }
    if (program === 'gone') throw new RivetrError('unavailable', 'the engine does not answer')
    return new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  },
} as unknown as Runtime

function target(...command: string[]): ProbeTarget {
  const settings = healthSettings.parse({ kind: 'command', ...(command.length > 0 ? { command } : {}) })
  return { replica: 'replica-1', runtime: 'fake', settings }
}

healthProbeSuite('command', async () => ({
  probe: new CommandProbe(() => runtime),
  well: target('well'),
  unwell: target('unwell'),
  silent: target('silent'),
  close: async () => undefined,
}))

describe('command probe', () => {
  async function detail(probe: CommandProbe, asked: ProbeTarget): Promise<string> {
    const result = await probe.probe(asked, AbortSignal.timeout(1_000))
    assert.equal(result.healthy, false)
    return result.detail
  }

  it('gives the exit code and the last line that the command printed', async () => {
    const probe = new CommandProbe((name) => (name === 'fake' ? runtime : undefined))
    assert.equal(await detail(probe, target('unwell', '-q')), '"unwell -q" exited with 2: no response')
    assert.equal(await detail(probe, target('gone')), '"gone": the engine does not answer')
  })

  it('says what is missing: the command, the runtime, the ability to run one', async () => {
    const unable = { capabilities: ['logs'] } as unknown as Runtime
    assert.match(await detail(new CommandProbe(() => runtime), target()), /set health\.command/)
    assert.match(
      await detail(new CommandProbe(() => undefined), target('well')),
      /runtime fake does not run now/,
    )
    assert.match(
      await detail(new CommandProbe(() => unable), target('well')),
      /runs no commands .* kind http or tcp/,
    )
  })
})

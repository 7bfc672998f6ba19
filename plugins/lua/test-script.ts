import { after } from 'node:test'
import type { Plain } from './plain.ts'
import { Runner, type RunnerLimits } from './runner.ts'
import type { HostCall } from './script-thread.ts'

/** Roomy, so that only what a test narrows can be what ends a script, however busy the machine is. */
export const limits: RunnerLimits = {
  computeMs: 60_000,
  totalMs: 100_000,
  instructions: 1_000_000_000,
  stringBytes: 64 * 1024 ** 2,
  heapMiB: 64,
  outputBytes: 1_000,
  threads: 1,
}

export interface Ran {
  readonly result?: Plain
  readonly error?: string
  readonly traceback?: string
  readonly lines: string[]
}

/** Runs the body of a tap, and says what came of it. */
export function scripts(narrowed: Partial<RunnerLimits> = {}) {
  const log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log } as never
  const runner = new Runner({ ...limits, ...narrowed }, log)
  after(() => runner.stop())
  const run = async (
    text: string | Uint8Array,
    arg?: Plain,
    call: HostCall = async () => undefined,
  ): Promise<Ran> => {
    const lines: string[] = []
    const { signal } = new AbortController()
    try {
      const script = { name: 'test.lua', text: Buffer.from(text) }
      const options = { call, onLine: (line: string) => lines.push(line), signal }
      return { result: await runner.call(script, { handler: 0, args: [arg] }, options), lines }
    } catch (error) {
      const { message, details } = error as Error & { details?: { traceback?: string } }
      return { error: message, ...(details?.traceback ? { traceback: details.traceback } : {}), lines }
    }
  }
  return {
    runner,
    run,
    body: (body: string, arg?: Plain, call?: HostCall) =>
      run(`rivetr.on("preBuild", function(arg) ${body} end)`, arg, call),
  }
}

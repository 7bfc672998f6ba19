import { type HookName, hooks, RivetrError } from '@rivetr/sdk'
import { eventOf, resultOf } from './payload.ts'
import { type Plain, plainOf } from './plain.ts'
import type { Runner } from './runner.ts'
import { isFor, type Script } from './script.ts'

export interface DryRun {
  /** What a tap of the hook would have given back. */
  readonly result?: unknown
  /** What it printed. */
  readonly lines: readonly string[]
  /** What it asked of Rivetr, and was not done. */
  readonly calls: readonly { readonly name: string; readonly args: readonly unknown[] }[]
  /** How many of its functions were called. */
  readonly taps: number
}

/** What a script is told that asks, by the name of the call and in their order: `{ http: [{ status: 200, headers: {}, body: '' }] }`. */
export type Answers = Readonly<Record<string, readonly unknown[]>>

/** Runs what a script taps of a hook on a payload, and touches nothing. Errors: those of `Runner.call`; `invalid_input`. */
export async function dryRun(
  runner: Runner,
  script: Script,
  {
    hook,
    args,
    answers = {},
    signal,
  }: { hook: string; args: readonly unknown[]; answers?: Answers | undefined; signal: AbortSignal },
): Promise<DryRun> {
  if (!Object.hasOwn(hooks, hook))
    throw new RivetrError('invalid_input', `there is no hook ${JSON.stringify(hook)}`)
  const event = eventOf(hook as HookName, args)
  const lines: string[] = []
  const calls: { name: string; args: readonly unknown[] }[] = []
  const kept = new Map<Plain, Plain>()
  const left = new Map(Object.entries(answers).map(([name, given]) => [name, [...given]]))
  const call = async (name: string, given: readonly Plain[]): Promise<Plain> => {
    calls.push({ name, args: given })
    const prepared = left.get(name) ?? []
    if (prepared.length > 0) return plainOf(prepared.shift())
    if (name === 'kv.set') kept.set(given[0], given[1])
    if (name === 'kv.get') return kept.get(given[0])
    if (name === 'http') return { status: 200, headers: {}, body: '' }
    return name === 'secret' ? `(the secret ${String(given[0])})` : undefined
  }
  const taps = script.taps.filter((tap) => tap.hook === hook && isFor(tap, script.owner, event))
  let result: unknown
  for (const { handler } of taps) {
    const text = { name: script.name, text: Buffer.from(script.text) }
    const options = { call, onLine: (line: string) => lines.push(line), signal }
    const returned = await runner.call(text, { handler, args: event.args }, options)
    result = resultOf(hook as HookName, returned, args) ?? result
  }
  const plain = plainOf(result)
  return { ...(plain === undefined ? {} : { result: plain }), lines, calls, taps: taps.length }
}

import { type HookName, hooks, RivetrError, z } from '@rivetr/sdk'
import type { Registration } from './messages.ts'

/** Whose script it is: the machine's owner, or an app (its id), for which alone it then speaks. */
export type Owner = { readonly kind: 'machine' } | { readonly kind: 'app'; readonly id: string }

export const machine: Owner = { kind: 'machine' }

/** A script that was looked at. */
export interface Script {
  readonly owner: Owner
  /** `notify.lua` */
  readonly name: string
  readonly text: string
  readonly taps: readonly ScriptTap[]
}

/** One `rivetr.on`: which hook it taps, and when. */
export interface ScriptTap {
  readonly hook: HookName
  readonly filter: Filter
  /** Its place among those of the script. */
  readonly handler: number
  readonly line: number
}

const oneOrMore = z.union([z.string(), z.array(z.string()).min(1)])

/** What `rivetr.on` takes between hook and function: the tap is for these alone. */
const filterSchema = z.strictObject({
  /** Names or ids. */
  app: oneOrMore.optional(),
  branch: oneOrMore.optional(),
  trigger: oneOrMore.optional(),
})
export type Filter = z.output<typeof filterSchema>

export const scriptName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,63}\.lua$/,
    'a name such as notify.lua, of lower-case letters, digits, . _ -',
  )

/** Of one script, in bytes. */
export const longestScript = 256 * 1024

/** What a script says that it taps, where its owner may. Errors: `invalid_input`, with script and line. */
export function tapsOf(name: string, owner: Owner, registrations: readonly Registration[]): ScriptTap[] {
  return registrations.map(({ hook, filter, line }, handler) => {
    const at = `${name}:${line}`
    if (!Object.hasOwn(hooks, hook)) throw invalid(`${at}: there is no hook ${JSON.stringify(hook)}`)
    const known = hook as HookName
    const { scripts } = hooks[known]
    if (scripts === 'none') throw invalid(`${at}: ${hook} is for plugins; no script can tap it`)
    if (scripts === 'admin' && owner.kind === 'app')
      throw invalid(`${at}: ${hook} is for scripts of the machine's owner; an app's script cannot tap it`)
    const parsed = filterSchema.safeParse(filter ?? {})
    if (!parsed.success)
      throw invalid(`${at}: a filter takes app, branch and trigger, each a text or a list of them`)
    return { hook: known, filter: parsed.data, handler, line }
  })
}

/** What an event is about, as far as filters ask. */
export interface Subject {
  readonly app?: { readonly id: string; readonly name: string } | undefined
  readonly branch?: string | undefined
  readonly trigger?: string | undefined
}

/** Whether a tap is for this. A script of an app is for its app, whatever its filter says. */
export function isFor({ filter }: ScriptTap, owner: Owner, { app, branch, trigger }: Subject): boolean {
  if (owner.kind === 'app' && app?.id !== owner.id) return false
  return (
    (matches(filter.app, app?.name) || matches(filter.app, app?.id)) &&
    matches(filter.branch, branch) &&
    matches(filter.trigger, trigger)
  )
}

function matches(wanted: string | readonly string[] | undefined, value: string | undefined): boolean {
  if (wanted === undefined) return true
  return value !== undefined && (typeof wanted === 'string' ? wanted === value : wanted.includes(value))
}

function invalid(message: string): RivetrError {
  return new RivetrError('invalid_input', message)
}

import type { Plain } from './plain.ts'

/** What a thread is asked to do with a script. Each time the script starts from nothing. */
export interface Job {
  readonly script: ScriptText
  /** Absent: only say what the script taps. */
  readonly call?: HandlerCall | undefined
  readonly limits: ThreadLimits
}

export interface ScriptText {
  /** As errors name it: `hooks/notify.lua`. */
  readonly name: string
  readonly text: Uint8Array
}

export interface HandlerCall {
  /** Its place among the script's `rivetr.on`. */
  readonly handler: number
  readonly args: readonly Plain[]
}

/** What the thread itself watches; the host watches the time. */
export interface ThreadLimits {
  readonly instructions: number
  /** Of strings, ever made in one run. */
  readonly stringBytes: number
  readonly outputBytes: number
}

/** One `rivetr.on` of a script. */
export interface Registration {
  readonly hook: string
  readonly filter: Plain
  readonly line: number
}

/** A run that came to its end. */
export type Outcome =
  | { readonly registrations: readonly Registration[]; readonly result: Plain }
  | { readonly fault: ScriptFault }

export interface ScriptFault {
  /** With the script's name and line in front, as Lua says it. */
  readonly message: string
  readonly traceback: string
}

/** What a thread says. After `spent` it says and does nothing more. */
export type FromThread =
  | { readonly kind: 'ready' }
  | { readonly kind: 'line'; readonly text: string }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Plain[] }
  | { readonly kind: 'outcome'; readonly outcome: Outcome }
  | { readonly kind: 'spent'; readonly what: 'instructions' | 'strings' }

/** The answer to a `call`. */
export type HostReply = { readonly value: Plain } | { readonly fault: string }

/** What thread and host share while the thread runs: Int32 each. */
export const shared = { answered: 0, line: 1, length: 2 } as const

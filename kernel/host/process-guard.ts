import { RivetrError } from '@rivetr/sdk'
import { runningPlugin } from './plugin-code.ts'

/** What the guard needs to know of plugins. */
export interface Suspects {
  /** The plugin in whose folder a file lies. */
  ownerOf(file: string): string | undefined
  /** Told of what a plugin did outside of every call of it. */
  stray(plugin: string, where: string, error: unknown): void
}

interface ProcessGuardOptions {
  readonly suspects: Suspects
  /** What nobody can be blamed for. `fatal`: nobody knows in which state it left the kernel. */
  unnamed(error: unknown, fatal: boolean): void
}

/** What would end or bend the process of everyone. Those of `process.kill` do so where they name this process. */
const forbidden = ['exit', 'reallyExit', 'abort', 'execve', 'kill', '_kill', 'chdir'] as const

type AnyFunction = (...args: unknown[]) => unknown

/**
 * Stands between plugins and the process that they share with the kernel: an error that reaches nobody is put down to its
 * plugin instead of ending the process, and the ways to end the process throw where a plugin calls them.
 * Returns what takes it away again.
 */
export function guardProcess({ suspects, unnamed }: ProcessGuardOptions): () => void {
  /** Refusals that were told already, and may come a second time because nobody caught them. */
  const told = new WeakSet<object>()
  const putDown = (error: unknown, where: string, fatal: boolean) => {
    if (typeof error === 'object' && error !== null && told.has(error)) return
    const plugin = blamed(error, suspects)
    if (plugin === undefined) unnamed(error, fatal)
    else suspects.stray(plugin, where, error)
  }
  const onException = (error: unknown) => putDown(error, 'a timer, an event or a callback', true)
  const onRejection = (error: unknown) => putDown(error, 'a promise that nobody waits for', false)
  process.on('uncaughtException', onException)
  process.on('unhandledRejection', onRejection)
  const table = process as unknown as Record<string, AnyFunction | undefined>
  const originals = new Map<string, AnyFunction>()
  for (const name of forbidden) {
    const original = table[name]
    if (original === undefined) continue // `execve` came with Node 23
    originals.set(name, original)
    table[name] = (...args) => {
      if (/kill$/.test(name) && !meansThisProcess(args)) return original.apply(process, args)
      const plugin = caller(suspects)
      if (plugin === undefined) return original.apply(process, args)
      const message = `process.${name} is refused: the process is not the plugin's`
      const error = new RivetrError('plugin_failed', message, { details: { plugin } })
      told.add(error)
      suspects.stray(plugin, `process.${name}`, error)
      throw error
    }
  }
  return () => {
    process.off('uncaughtException', onException)
    process.off('unhandledRejection', onRejection)
    for (const [name, original] of originals) table[name] = original
  }
}

/** When V8 ends the process (its heap is full), Node writes down what it knows. Never the environment: it holds secrets. */
export function reportFatalErrors(folder: string, file: string): void {
  Object.assign(process.report, {
    reportOnFatalError: true,
    directory: folder,
    filename: file,
    excludeEnv: true,
    excludeNetwork: true,
  })
}

/** Signal 0 only asks. A group is ours where it is the one of this process. */
function meansThisProcess([pid, signal]: unknown[]): boolean {
  const number = Number(pid)
  return signal !== 0 && (number === process.pid || number === 0 || number === -1 || number === -process.pid)
}

/** Whose error: of the plugin whose file comes first in its stack, else of the one whose code set it off. */
function blamed(error: unknown, suspects: Suspects): string | undefined {
  const stack = error instanceof Error ? filesOf(error.stack ?? '') : []
  return firstOwner(stack, suspects) ?? runningPlugin()
}

/** A callback such as `setTimeout(process.exit)` has no file in its stack; then it is the one that set it off. */
function caller(suspects: Suspects): string | undefined {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 200
  const files = filesOf(new Error().stack ?? '').filter((file) => file !== import.meta.filename)
  Error.stackTraceLimit = limit
  return files.length === 0 ? runningPlugin() : firstOwner(files, suspects)
}

function firstOwner(files: readonly string[], suspects: Suspects): string | undefined {
  for (const file of files) {
    const owner = suspects.ownerOf(file)
    if (owner !== undefined) return owner
  }
  return undefined
}

function filesOf(stack: string): string[] {
  return [
    ...stack.matchAll(/(?:\(|at (?:async )?)(?:file:\/\/)?(\/[^\n]*?)(?:\?[^\n:]*)?:\d+:\d+\)?$/gm),
  ].map(([, path = '']) => decoded(path))
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

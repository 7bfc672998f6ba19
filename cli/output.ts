import { ApiError } from '@rivetr/sdk/client'
import { CommanderError } from 'commander'
import type { Surroundings } from './run.ts'

/** The command line itself is wrong; the message says how to write it. */
export class UsageError extends Error {}

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError || error instanceof CommanderError) return 2
  return error instanceof ApiError && error.code === 'unreachable' ? 3 : 1
}

/** What people read, or with `--json` one JSON document on standard output and nothing else there. */
export class Output {
  readonly json: boolean
  readonly #surroundings: Surroundings

  constructor(surroundings: Surroundings, json: boolean) {
    this.#surroundings = surroundings
    this.json = json
  }

  /** The result of a command: `data` for machines, `text` for people. */
  result(data: unknown, text: string): void {
    this.#surroundings.stdout.write(this.json ? `${JSON.stringify(data, null, 2)}\n` : ending(text))
  }

  /** One item of an endless result: a JSON document per line. */
  item(data: unknown, text: string): void {
    this.#surroundings.stdout.write(this.json ? `${JSON.stringify(data)}\n` : ending(text))
  }

  /** What happens on the way to the result. */
  progress(text: string): void {
    const { stdout, stderr } = this.#surroundings
    const stream = this.json ? stderr : stdout
    stream.write(ending(text))
  }

  /** A remark that is not part of the result. */
  hint(text: string): void {
    this.#surroundings.stderr.write(ending(text))
  }

  failure(error: unknown): void {
    if (this.json) this.result({ error: errorData(error) }, '')
    else if (!(error instanceof CommanderError)) this.hint(`rivetr: ${messageFor(error)}`) // commander has said it already
  }
}

/** Columns side by side, as wide as they need to be. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd()
  return [line(head), ...rows.map(line)].join('\n')
}

function ending(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`
}

function errorData(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error && carriesCode(error))) {
    return { code: exitCodeOf(error) === 2 ? 'usage' : 'failed', message: messageFor(error) }
  }
  const { code, message, details, requestId } = error
  return {
    code,
    message,
    ...(Object.keys(details).length > 0 && { details }),
    ...(requestId && { requestId }),
  }
}

/** The API's errors, and the kernel's own; told by name, because loading the sdk for it would cost half a second. */
function carriesCode(error: Error): error is Pick<ApiError, 'code' | 'details' | 'requestId'> & Error {
  return error instanceof ApiError || error.name === 'RivetrError'
}

function messageFor(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return error instanceof CommanderError ? message.replace(/^error: /, '') : message
}

import { providerName, RivetrError } from '@rivetr/sdk'
import { type CommandLine, parseCommandLine } from './command-line.ts'

export interface Procfile {
  /** By name, in their order; `release` is not one of them. */
  readonly processes: ReadonlyMap<string, CommandLine>
  readonly release?: CommandLine
}

/** Reads lines of the form `name: command`. Errors: `build_failed`, with the line. */
export function parseProcfile(text: string): Procfile {
  const processes = new Map<string, CommandLine>()
  for (const [index, line] of text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .entries()) {
    if (/^\s*(#|$)/.test(line)) continue
    const [, name = '', command = ''] = /^\s*([^\s:]+)\s*:\s*(.*?)\s*$/.exec(line) ?? []
    if (!providerName.safeParse(name).success || command === '')
      throw fault(
        index,
        'is not of the form "name: command" (a name has lower-case letters, digits and hyphens)',
      )
    if (processes.has(name)) throw fault(index, `names ${name} again`)
    const parsed = parseCommandLine(command)
    if ('fault' in parsed) throw fault(index, `cannot be used: ${parsed.fault}`)
    processes.set(name, parsed)
  }
  const release = processes.get('release')
  processes.delete('release')
  if (processes.size === 0)
    throw new RivetrError('build_failed', 'the Procfile names no process; add "web: <command>"')
  return release === undefined ? { processes } : { processes, release }
}

function fault(index: number, what: string): RivetrError {
  return new RivetrError('build_failed', `line ${index + 1} of the Procfile ${what}`)
}

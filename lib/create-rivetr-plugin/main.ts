#!/usr/bin/env node
import { createInterface } from 'node:readline/promises'
import { parseArgs } from 'node:util'
import { kinds, ProjectError, writeProject } from './project.ts'

const usage = `Usage: npm create rivetr-plugin -- <name> --kind <kind> [--folder <folder>]

Writes a project for a plugin of Rivetr into <folder>, by default rivetr-plugin-<name>.
On a terminal it asks for what is missing.

Kinds:
${Object.entries(kinds)
  .map(([kind, text]) => `  ${kind.padEnd(18)}${text}`)
  .join('\n')}
`

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof ProjectError) && !isArgumentFault(error)) throw error
  process.stderr.write(`create-rivetr-plugin: ${(error as Error).message}\n`)
  process.exitCode = 2
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      kind: { type: 'string' },
      folder: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help) {
    process.stdout.write(usage)
    return 0
  }
  if (positionals.length > 1) throw new ProjectError(`one name is to be given, not ${positionals.length}`)
  const name = positionals[0] ?? (await ask('Name of the plugin (lower-case letters, digits, hyphens): '))
  const kind = values.kind ?? (await ask(`Kind (${Object.keys(kinds).join(', ')}): `))
  const folder = await writeProject({ name, kind, folder: values.folder ?? `rivetr-plugin-${name}` })
  process.stdout.write(`${folder} is written. Next:\n\n  cd ${folder}\n  npm install\n  npm test\n`)
  return 0
}

async function ask(question: string): Promise<string> {
  if (!process.stdin.isTTY) throw new ProjectError(`name and --kind are to be given\n\n${usage}`)
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  try {
    return (await terminal.question(question)).trim()
  } finally {
    terminal.close()
  }
}

function isArgumentFault(error: unknown): boolean {
  return String((error as { code?: unknown }).code).startsWith('ERR_PARSE_ARGS_')
}

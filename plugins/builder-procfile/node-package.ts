import { messageOf, RivetrError, z } from '@rivetr/sdk'
import { type CommandLine, parseCommandLine } from './command-line.ts'
import { exists, readText } from './source-file.ts'

const dependencies = z.record(z.string(), z.unknown()).default({})
const shape = z.object({
  main: z.string().optional(),
  scripts: z.record(z.string(), z.string()).default({}),
  dependencies,
  devDependencies: dependencies,
  optionalDependencies: dependencies,
  workspaces: z.unknown().optional(),
})

/** An app that is described by a package.json. */
export interface NodePackage {
  /** How it is started, and where that stands; absent when it does not say. */
  readonly start?: { readonly command: CommandLine; readonly from: string }
  /** What must be run in the copy before it can start, in order. */
  readonly buildCommands: readonly (readonly string[])[]
}

/** Undefined where there is no package.json. Errors: `build_failed` when it cannot be read. */
export async function findNodePackage(folder: string): Promise<NodePackage | undefined> {
  const text = await readText(folder, 'package.json')
  if (text === undefined) return undefined
  const parsed = parse(text)
  const start = await startOf(parsed, folder)
  return { ...(start === undefined ? {} : { start }), buildCommands: await buildCommandsOf(parsed, folder) }
}

type Package = z.output<typeof shape>

function parse(text: string): Package {
  try {
    return shape.parse(JSON.parse(text.replace(/^\ufeff/, '')))
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error)
    throw new RivetrError('build_failed', `package.json cannot be read: ${why}`, { cause: error })
  }
}

async function startOf({ scripts, main }: Package, folder: string): Promise<NodePackage['start']> {
  if (scripts.start !== undefined) return { command: commandOf(scripts), from: 'its start script' }
  // npm's own default for a package without a start script is server.js.
  for (const file of ['server.js', main])
    if (file !== undefined && (await exists(folder, file)))
      return { command: plain('node', file), from: file }
  return undefined
}

/** The script itself where it is one plain command: npm costs a process per replica, and signals end with it. */
function commandOf(scripts: Package['scripts']): CommandLine {
  const isAlone = scripts.prestart === undefined && scripts.poststart === undefined
  const parsed = isAlone ? parseCommandLine(scripts.start ?? '') : undefined
  return parsed === undefined || 'fault' in parsed ? plain('npm', 'start') : parsed
}

async function buildCommandsOf(found: Package, folder: string): Promise<string[][]> {
  const wanted = { ...found.dependencies, ...found.devDependencies, ...found.optionalDependencies }
  const isLocked =
    (await exists(folder, 'package-lock.json')) || (await exists(folder, 'npm-shrinkwrap.json'))
  const commands: string[][] = []
  // NODE_ENV=production may be in the app's env, and what a build needs stands among the devDependencies.
  const options = ['--include=dev', '--no-audit', '--no-fund']
  if (isLocked) commands.push(['npm', 'ci', ...options])
  else if (Object.keys(wanted).length > 0 || found.workspaces !== undefined)
    commands.push(['npm', 'install', ...options])
  if (found.scripts.build !== undefined) commands.push(['npm', 'run', 'build'])
  return commands
}

function plain(...words: string[]): CommandLine {
  return { assignments: [], words: words.map((word) => [word]) }
}

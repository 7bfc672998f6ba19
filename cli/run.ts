import { CommanderError } from 'commander'
import { exitCodeOf, Output } from './output.ts'
import { program } from './program.ts'

/** What the command line reaches of its process. */
export interface Surroundings {
  readonly env: NodeJS.ProcessEnv
  readonly stdin: AsyncIterable<Uint8Array | string> & {
    readonly isTTY?: boolean
    setRawMode?(on: boolean): unknown
    destroy?(): unknown
  }
  readonly stdout: {
    write(text: string | Uint8Array): unknown
    /** Of a terminal, in characters. */
    readonly columns?: number
    readonly rows?: number
    on?(event: 'resize', run: () => void): unknown
    off?(event: 'resize', run: () => void): unknown
  }
  readonly stderr: { write(text: string): unknown }
}

/** Runs one command line. Returns the exit code: 0 done, 1 failed, 2 used wrongly, 3 Rivetr does not answer. */
export async function run(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const output = new Output(surroundings, args.includes('--json'))
  let exitCode = 0
  const finished = (code: number) => {
    exitCode = code
  }
  try {
    await program(surroundings, output, finished).parseAsync(args, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0 // --help, --version
    output.failure(error)
    return exitCodeOf(error)
  }
  return exitCode
}

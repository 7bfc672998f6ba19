import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type Builder,
  type BuildRequest,
  type BuildResult,
  RivetrError,
  type Runtime,
  type SourceTree,
} from '@rivetr/sdk'
import { argumentVector, type CommandLine } from './command-line.ts'
import { hashFolder } from './folder-hash.ts'
import { findNodePackage, type NodePackage } from './node-package.ts'
import { type Procfile, parseProcfile } from './procfile.ts'
import { copySource } from './source-copy.ts'
import { exists, readText } from './source-file.ts'

/** Makes a folder of a source that says by a Procfile or a package.json how it is run. */
export class ProcfileBuilder implements Builder {
  readonly produces = 'folder'
  readonly order = 50
  readonly #runtime: (name: string) => Runtime

  /** `runtime` gives the runtime of a name: build commands run as the app, never as Rivetr. */
  constructor(runtime: (name: string) => Runtime) {
    this.#runtime = runtime
  }

  async detect({ folder }: SourceTree): Promise<string | undefined> {
    if (await exists(folder, 'Procfile')) return 'Procfile found'
    const start = (await findNodePackage(folder))?.start
    return start && `package.json found, which is started by ${start.from}`
  }

  async build(request: BuildRequest): Promise<BuildResult> {
    const { tree, artefactFolder, signal } = request
    const plan = await planFor(tree.folder)
    try {
      await copySource(tree.folder, artefactFolder, signal)
      for (const [index, command] of plan.buildCommands.entries()) await this.#run(command, index, request)
      const processes = await this.#processes(plan, artefactFolder)
      const hash = await hashFolder(artefactFolder, signal)
      return { artefact: { kind: 'folder', path: artefactFolder, hash }, ...processes }
    } catch (error) {
      await rm(artefactFolder, { recursive: true, force: true })
      throw error
    }
  }

  async #processes(
    { processes, release }: Plan,
    folder: string,
  ): Promise<Pick<BuildResult, 'processes' | 'releaseCommand'>> {
    // As in npm scripts: programs of the dependencies are found by their names alone.
    const bin = (await exists(folder, 'node_modules/.bin')) ? join(folder, 'node_modules/.bin') : undefined
    const commands = [...processes].map(
      ([name, line]) => [name, { command: argumentVector(line, bin) }] as const,
    )
    return {
      processes: Object.fromEntries(commands),
      ...(release === undefined ? {} : { releaseCommand: argumentVector(release, bin) }),
    }
  }

  async #run(command: readonly string[], index: number, request: BuildRequest): Promise<void> {
    const { deployment, app, artefactFolder, env, onLine, signal } = request
    const line = command.join(' ')
    onLine(`$ ${line}`, 'rivetr')
    const spec = {
      id: `${deployment}-build-${index + 1}`,
      app,
      deployment,
      release: 0,
      artefact: { kind: 'folder', path: artefactFolder, hash: '' },
      run: { process: 'build', replicas: 1, command, limits: {}, stopTimeoutMs: 0 },
      env: Object.fromEntries(Object.entries(env).map(([name, { value }]) => [name, value])),
    } as const
    const runtime = this.#runtime(request.runtime)
    const { exitCode } = await runtime
      .run(spec, { onLine, signal, writable: true })
      .catch((error: unknown) => {
        if (!RivetrError.is(error, 'replica_failed')) throw error
        throw new RivetrError('build_failed', `${line} did not start: ${error.message}`, { cause: error })
      })
    if (exitCode !== 0) {
      throw new RivetrError(
        'build_failed',
        `${line} ended with exit code ${exitCode}; its output tells why`,
        {
          details: { command, exitCode },
        },
      )
    }
  }
}

interface Plan {
  readonly processes: ReadonlyMap<string, CommandLine>
  readonly release?: CommandLine | undefined
  readonly buildCommands: NodePackage['buildCommands']
}

async function planFor(folder: string): Promise<Plan> {
  const text = await readText(folder, 'Procfile')
  const procfile: Procfile | undefined = text === undefined ? undefined : parseProcfile(text)
  const nodePackage = await findNodePackage(folder)
  const buildCommands = nodePackage?.buildCommands ?? []
  if (procfile !== undefined) return { ...procfile, buildCommands }
  if (nodePackage?.start !== undefined)
    return { processes: new Map([['web', nodePackage.start.command]]), buildCommands }
  throw new RivetrError('build_failed', 'nothing says how to run it; add a Procfile with "web: <command>"')
}

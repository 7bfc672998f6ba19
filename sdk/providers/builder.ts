import type { LineSink } from '../log.ts'
import type { AppSettings } from '../model/app.ts'
import type { Artefact, ArtefactKind } from '../model/deployment.ts'
import { namedToken } from '../token.ts'

/** The fetched files of an app: an absolute path. Every path that comes from a repository goes through `confine`. */
export interface SourceTree {
  readonly folder: string
}

/** What is to be built, for which runtime, and where the result goes. */
export interface BuildRequest {
  readonly deployment: string
  readonly app: { readonly id: string; readonly name: string }
  readonly tree: SourceTree
  readonly settings: AppSettings
  /** The runtime for which it builds: its `Images` and `Runtime` have this name. */
  readonly runtime: string
  readonly env: Readonly<Record<string, { readonly value: string; readonly secret: boolean }>>
  /** For builders of folders: an absolute path that does not exist yet and is this build's alone. */
  readonly artefactFolder: string
  /** To be put on everything that is made. */
  readonly labels: Readonly<Record<string, string>>
  readonly onLine: LineSink
  readonly signal: AbortSignal
}

/** What a build made. */
export interface BuildResult {
  readonly artefact: Artefact
  /** Processes that the source names (Procfile); the image's own command is `web` without a command. */
  readonly processes: Readonly<Record<string, { readonly command?: readonly string[] }>>
  /** As the source names it (a Procfile's `release:`). */
  readonly releaseCommand?: readonly string[]
  /** The port that the artefact says it listens on (EXPOSE). */
  readonly port?: number
}

/** Turns source into an artefact. Errors: `build_failed`. */
export interface Builder {
  readonly produces: ArtefactKind
  /** Lower goes first where several say yes. */
  readonly order: number
  /** Why it can build this tree ("Dockerfile found"), or undefined. */
  detect(tree: SourceTree, settings: AppSettings): Promise<string | undefined>
  build(request: BuildRequest): Promise<BuildResult>
}

export const Builder = namedToken<Builder>('builder')

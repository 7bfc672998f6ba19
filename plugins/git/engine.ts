import type { Commit, LineSink } from '@rivetr/sdk'
import type { Address } from './address.ts'
import type { SshAccess } from './ssh-connection.ts'

/** Where a repository is, with all that its server asks for. */
export interface Place extends Address {
  readonly access?: SshAccess | undefined
}

/** One commit, and the folder for its files. */
export interface Checkout {
  readonly place: Place
  readonly commit: string
  /** Where the commit is looked for when the server hands out none by its id; absent: on the default branch. */
  readonly branch: string | undefined
  /** An empty folder; afterwards it holds the files and nothing of git. */
  readonly into: string
  readonly onLine: LineSink
  readonly signal: AbortSignal
}

/** What lies in the folder, and what does not. */
export interface CheckedOut {
  readonly commit: Commit
  /** Empty folders, each for another repository. */
  readonly submodules: readonly { readonly path: string; readonly commit: string }[]
  /** Files that are pointers of Git LFS. */
  readonly pointers: readonly string[]
}

/** The branch by its whole name, or the default one. */
export function refOf({ branch }: Pick<Checkout, 'branch'>): string {
  return branch === undefined ? 'HEAD' : `refs/heads/${branch}`
}

/** Does the work of git. Errors: `source_failed` with the fault, and the reason of the signal. */
export interface GitEngine {
  /** Branches and tags by their whole names, with the ids they point to; a peeled tag stands under `<name>^{}`. */
  refs(place: Place, signal: AbortSignal): Promise<Map<string, string>>
  /** `source_failed` with the fault `commit` when the commit is not there. */
  checkout(request: Checkout): Promise<CheckedOut>
}

/** How deep a branch is fetched, in turn, when a server does not hand out a commit by its id. The last is git's "all of it". */
export const depths = [50, 500, 5_000, 2_147_483_647]

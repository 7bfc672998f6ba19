import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  type Branch,
  type Commit,
  type FetchRequest,
  RivetrError,
  type Source,
  type SourceSettings,
} from '@rivetr/sdk'
import { untilAborted } from './runtime.ts'

/** A repository that is a map: branches with their head, and the files that every commit holds. */
export class FakeSource implements Source {
  readonly heads = new Map<string, Commit>([['main', { id: 'a'.repeat(40), message: 'first' }]])
  /** What every commit holds, by path. */
  files: Record<string, string> = { 'README.md': 'a fake' }
  /** The commits that were fetched, in their order. */
  readonly fetched: string[] = []
  #failure: Error | undefined
  #hang: PromiseWithResolvers<void> | undefined

  /** The next fetch fails, once. */
  failNext(error: Error = new RivetrError('source_failed', 'no such commit')): void {
    this.#failure = error
  }

  /** Fetches hang from now on, until their signal aborts or the returned function is called. */
  hang(): () => void {
    const gate = Promise.withResolvers<void>()
    this.#hang = gate
    return () => {
      this.#hang = undefined
      gate.resolve()
    }
  }

  async resolve(_source: SourceSettings, ref: string): Promise<Commit> {
    const commit = this.heads.get(ref)
    if (commit === undefined) throw new RivetrError('source_failed', `there is no branch "${ref}"`)
    return commit
  }

  async branches(): Promise<Branch[]> {
    return [...this.heads].map(([name, { id }]) => ({ name, commit: id }))
  }

  /** What `check` refuses with. */
  refusal: Error | undefined

  async check(): Promise<void> {
    if (this.refusal !== undefined) throw this.refusal
  }

  async fetch({ commit, into, onLine, signal }: FetchRequest): Promise<Commit> {
    signal.throwIfAborted()
    this.fetched.push(commit)
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) throw failure
    if (this.#hang !== undefined) await untilAborted(this.#hang.promise, signal)
    for (const [path, text] of Object.entries(this.files)) {
      await mkdir(dirname(join(into, path)), { recursive: true })
      await writeFile(join(into, path), text)
    }
    onLine(`fetched ${commit}`)
    return (
      [...this.heads.values()].find(({ id }) => id === commit) ?? { id: commit, message: 'a fake commit' }
    )
  }
}

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  branchName,
  type Commit,
  commitId,
  type FetchRequest,
  type RivetrError,
  type Source,
  type SourceSettings,
} from '@rivetr/sdk'
import { type Address, parseAddress } from './address.ts'
import { faultOf, lacksRef, refusalOf, sourceFault } from './fault.ts'
import { GitProgram, type GitSettings } from './program.ts'
import { remarks } from './remarks.ts'

/** How deep a branch is fetched, in turn, when a server does not hand out a commit by its id. The last is git's "all of it". */
const depths = [50, 500, 5_000, 2_147_483_647]
const branchesNamed = 10

/** Repositories over http and https, read by the git program of the machine. */
export class GitSource implements Source {
  readonly #git: GitProgram
  readonly #home: string
  readonly #allowFile: boolean

  constructor(settings: GitSettings & { readonly allowFile: boolean }) {
    this.#git = new GitProgram(settings)
    this.#home = settings.home
    this.#allowFile = settings.allowFile
  }

  async resolve(source: SourceSettings, ref: string, signal: AbortSignal): Promise<Commit> {
    if (commitId.safeParse(ref).success) return { id: ref }
    if (!branchName.safeParse(ref).success)
      throw sourceFault('branch', `${JSON.stringify(ref)} is not the name of a branch or tag`)
    const address = this.#address(source)
    const refs = await this.#refs(address, signal)
    const tag = `refs/tags/${ref}`
    // A branch goes first, as the app's branch is what is asked for most; a tag that has an object of its own is peeled.
    const id =
      refs.get(`refs/heads/${ref}`) ??
      refs.get(`${tag}^{}`) ??
      refs.get(tag) ??
      refs.get(`${ref}^{}`) ??
      refs.get(ref)
    if (id === undefined) throw missingBranch(ref, address, refs)
    return { id }
  }

  async branches(source: SourceSettings, signal: AbortSignal): Promise<string[]> {
    return branchesOf(await this.#refs(this.#address(source), signal))
  }

  async check(source: SourceSettings, signal: AbortSignal): Promise<void> {
    const address = this.#address(source)
    const refs = await this.#refs(address, signal)
    if (!refs.has(`refs/heads/${source.branch}`)) throw missingBranch(source.branch, address, refs)
  }

  async fetch({ source, commit, into, onLine, signal }: FetchRequest): Promise<Commit> {
    if (!commitId.safeParse(commit).success)
      throw sourceFault('commit', `${JSON.stringify(commit)} is not a whole commit id`)
    const address = this.#address(source)
    const run = { cwd: into, signal, address, onLine }

    onLine(`fetching ${commit} from ${address.url}`)
    await this.#local(
      ['init', '--quiet', '--template=', `--object-format=${commit.length === 64 ? 'sha256' : 'sha1'}`],
      run,
    )
    await this.#fetchCommit(commit, source.branch, run)
    await this.#local(['checkout', '--quiet', '--force', '--detach', commit, '--'], run)
    const [id, author, message] = await this.#local(['log', '-1', '--format=%H%n%an%n%s', commit, '--'], run)
    if (id !== commit) throw sourceFault('commit', `${address.url} gave ${id} where ${commit} was asked for`)
    for (const remark of await remarks((args) => this.#git.run(args, { cwd: into, signal }))) onLine(remark)
    // Nothing that is built may contain the history; credentials were never written to it.
    await rm(join(into, '.git'), { recursive: true, force: true })
    return { id, ...(message ? { message } : {}), ...(author ? { author } : {}) }
  }

  async #fetchCommit(commit: string, branch: string, run: FetchRun): Promise<void> {
    const { url } = run.address
    const direct = await this.#git.run([...fetchArgs, '--depth=1', '--', url, commit], run)
    if (direct.exitCode === 0) return
    const refusal = refusalOf(direct.stderr)
    if (refusal === undefined) throw faultOf(direct.stderr, url)
    if (refusal === 'forbidden' && (await this.#searchBranch(commit, branch, run))) return
    const refs = await this.#refs(run.address, run.signal)
    if (!refs.has(heads + branch)) throw missingBranch(branch, run.address, refs)
    const advice = 'push it again if a forced push has replaced it'
    throw sourceFault(
      'commit',
      `commit ${commit} is not on branch ${branch} of ${url}; ${advice}`,
      direct.stderr,
    )
  }

  /** For servers that hand out no commit by its id: goes down the branch, deeper each time, until the commit is there. */
  async #searchBranch(commit: string, branch: string, run: FetchRun): Promise<boolean> {
    run.onLine(`the server hands out no commit by its id; looking for it on ${branch}`)
    const refspec = `+${heads}${branch}:refs/rivetr/head`
    for (const depth of depths) {
      const args = [...fetchArgs, `--depth=${depth}`, '--', run.address.url, refspec]
      const { exitCode, stderr } = await this.#git.run(args, run)
      if (lacksRef(stderr)) return false
      if (exitCode !== 0) throw faultOf(stderr, run.address.url)
      const found = await this.#git.run(['cat-file', '-e', `${commit}^{commit}`], {
        cwd: run.cwd,
        signal: run.signal,
      })
      if (found.exitCode === 0) return true
    }
    return false
  }

  /** A command that stays on this machine. */
  async #local(args: readonly string[], { cwd, signal, address }: FetchRun): Promise<readonly string[]> {
    const { exitCode, stdout, stderr } = await this.#git.run(args, { cwd, signal })
    if (exitCode !== 0) throw faultOf(stderr, address.url)
    return stdout
  }

  /** Branches and tags by their whole names, with the commits they point to. */
  async #refs(address: Address, signal: AbortSignal): Promise<Map<string, string>> {
    const args = ['ls-remote', '--quiet', '--heads', '--tags', '--', address.url]
    const { exitCode, stdout, stderr } = await this.#git.run(args, { cwd: this.#home, signal, address })
    if (exitCode !== 0) throw faultOf(stderr, address.url)
    return new Map(
      stdout.map((line) => {
        const [id = '', name = ''] = line.split('\t')
        return [name, id]
      }),
    )
  }

  #address(source: SourceSettings): Address {
    return parseAddress(source.url, this.#allowFile)
  }
}

interface FetchRun {
  readonly cwd: string
  readonly signal: AbortSignal
  readonly address: Address
  readonly onLine: FetchRequest['onLine']
}

const fetchArgs = [
  'fetch',
  '--quiet',
  '--no-tags',
  '--no-recurse-submodules',
  '--no-auto-maintenance',
  '--no-write-commit-graph',
]

const heads = 'refs/heads/'

function branchesOf(refs: ReadonlyMap<string, string>): string[] {
  return [...refs.keys()].filter((name) => name.startsWith(heads)).map((name) => name.slice(heads.length))
}

function missingBranch(branch: string, address: Address, refs: ReadonlyMap<string, string>): RivetrError {
  const there = branchesOf(refs)
  if (there.length === 0)
    return sourceFault('branch', `the repository ${address.url} is empty: push branch ${branch} first`)
  const more = there.length > branchesNamed ? `, and ${there.length - branchesNamed} more` : ''
  return sourceFault(
    'branch',
    `branch ${branch} not found at ${address.url}; branches: ${there.slice(0, branchesNamed).join(', ')}${more}`,
  )
}

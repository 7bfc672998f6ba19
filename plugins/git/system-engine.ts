import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type CheckedOut, type Checkout, depths, type GitEngine, type Place, refOf } from './engine.ts'
import { faultOf, lacksRef, notOnBranch, refusalOf, searching, sourceFault } from './fault.ts'
import { GitProgram, type GitSettings } from './program.ts'
import { absentParts } from './remarks.ts'

/** The git program of the machine. */
export class SystemEngine implements GitEngine {
  readonly #git: GitProgram
  readonly #home: string

  constructor(settings: GitSettings) {
    this.#git = new GitProgram(settings)
    this.#home = settings.home
  }

  async refs(place: Place, signal: AbortSignal): Promise<Map<string, string>> {
    const args = ['ls-remote', '--quiet', '--heads', '--tags', '--', place.url]
    const { exitCode, stdout, stderr } = await this.#git.run(args, { cwd: this.#home, signal, place })
    if (exitCode !== 0) throw faultOf(stderr, place.url)
    return new Map(
      stdout.map((line) => {
        const [id = '', name = ''] = line.split('\t')
        return [name, id]
      }),
    )
  }

  async checkout(request: Checkout): Promise<CheckedOut> {
    const { place, commit, into, signal } = request
    const format = commit.length === 64 ? 'sha256' : 'sha1'
    await this.#local(['init', '--quiet', '--template=', `--object-format=${format}`], request)
    await this.#fetch(request)
    await this.#local(['checkout', '--quiet', '--force', '--detach', commit, '--'], request)
    const [[id, author, message], absent] = await Promise.all([
      this.#local(['log', '-1', '--format=%H%n%an%n%s', commit, '--'], request),
      absentParts((args) => this.#git.run(args, { cwd: into, signal })),
    ])
    if (id !== commit) throw sourceFault('commit', `${place.url} gave ${id} where ${commit} was asked for`)
    // Nothing that is built may contain the history; credentials were never written to it.
    await rm(join(into, '.git'), { recursive: true, force: true })
    return { commit: { id, ...(message ? { message } : {}), ...(author ? { author } : {}) }, ...absent }
  }

  async #fetch(request: Checkout): Promise<void> {
    const { place, commit, branch, into: cwd, onLine, signal } = request
    const run = { cwd, signal, place, onLine }
    const direct = await this.#git.run([...fetchArgs, '--depth=1', '--', place.url, commit], run)
    if (direct.exitCode === 0) return
    const refusal = refusalOf(direct.stderr)
    if (refusal === undefined) throw faultOf(direct.stderr, place.url)
    if (refusal === 'forbidden' && (await this.#searchBranch(request))) return
    throw notOnBranch(commit, branch, place.url, direct.stderr)
  }

  /** For servers that hand out no commit by its id: goes down the branch, deeper each time, until the commit is there. */
  async #searchBranch(request: Checkout): Promise<boolean> {
    const { place, commit, into: cwd, onLine, signal } = request
    onLine(searching(request))
    const refspec = `+${refOf(request)}:refs/rivetr/head`
    for (const depth of depths) {
      const args = [...fetchArgs, `--depth=${depth}`, '--', place.url, refspec]
      const { exitCode, stderr } = await this.#git.run(args, { cwd, signal, place, onLine })
      if (lacksRef(stderr)) return false
      if (exitCode !== 0) throw faultOf(stderr, place.url)
      const found = await this.#git.run(['cat-file', '-e', `${commit}^{commit}`], { cwd, signal })
      if (found.exitCode === 0) return true
    }
    return false
  }

  /** A command that stays on this machine. */
  async #local(args: readonly string[], { into: cwd, signal, place }: Checkout): Promise<readonly string[]> {
    const { exitCode, stdout, stderr } = await this.#git.run(args, { cwd, signal })
    if (exitCode !== 0) throw faultOf(stderr, place.url)
    return stdout
  }
}

const fetchArgs = [
  'fetch',
  '--quiet',
  '--no-tags',
  '--no-recurse-submodules',
  '--no-auto-maintenance',
  '--no-write-commit-graph',
]

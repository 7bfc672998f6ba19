import {
  type Branch,
  branchName,
  type Commit,
  commitId,
  type FetchRequest,
  type RivetrError,
  type Source,
  type SourceSettings,
} from '@rivetr/sdk'
import { type Address, parseAddress } from './address.ts'
import type { DeployKeys } from './deploy-keys.ts'
import type { GitEngine, Place } from './engine.ts'
import { isFault, sourceFault } from './fault.ts'
import type { KnownHosts } from './known-hosts.ts'
import type { Lfs } from './lfs.ts'
import { checkoutWhole } from './whole-checkout.ts'

const namesShown = 10
const heads = 'refs/heads/'
const tags = 'refs/tags/'

/** What opens repositories over ssh. */
export interface SshParts {
  readonly deployKeys: Pick<DeployKeys, 'privateKey'>
  readonly knownHosts: Pick<KnownHosts, 'of'>
}

export interface GitSourceParts extends SshParts {
  /** Chosen anew for each piece of work. */
  engine(): Promise<GitEngine>
  readonly allowFile: boolean
  lfs(): Promise<Lfs>
}

/** Repositories over http, https and ssh. */
export class GitSource implements Source {
  readonly #parts: GitSourceParts

  constructor(parts: GitSourceParts) {
    this.#parts = parts
  }

  async resolve(source: SourceSettings, ref: string, signal: AbortSignal): Promise<Commit> {
    if (commitId.safeParse(ref).success) return { id: ref }
    if (!branchName.safeParse(ref).success)
      throw sourceFault('branch', `${JSON.stringify(ref)} is not the name of a branch or tag`)
    const { refs, place } = await this.#refs(source, signal)
    const tag = `refs/tags/${ref}`
    // A branch goes first, as the app's branch is what is asked for most; a tag that has an object of its own is peeled.
    const id =
      refs.get(heads + ref) ??
      refs.get(`${tag}^{}`) ??
      refs.get(tag) ??
      refs.get(`${ref}^{}`) ??
      refs.get(ref)
    if (id === undefined)
      throw ref.startsWith(tags) ? missingTag(ref, place, refs) : missingBranch(ref, place, refs)
    return { id }
  }

  async branches(source: SourceSettings, signal: AbortSignal): Promise<Branch[]> {
    const { refs } = await this.#refs(source, signal)
    return namesBelow(heads, refs).map((name) => ({ name, commit: refs.get(heads + name) ?? '' }))
  }

  async check(source: SourceSettings, signal: AbortSignal): Promise<void> {
    const { refs, place } = await this.#refs(source, signal)
    if (!refs.has(heads + source.branch)) throw missingBranch(source.branch, place, refs)
  }

  async fetch({ source, commit, into, onLine, signal }: FetchRequest): Promise<Commit> {
    if (!commitId.safeParse(commit).success)
      throw sourceFault('commit', `${JSON.stringify(commit)} is not a whole commit id`)
    const place = await this.#place(source)
    const engine = await this.#parts.engine()
    onLine(`fetching ${commit} from ${place.url}`)
    try {
      const { submodules = true, lfs: lfsContent = true } = source
      const open = (other: Omit<Place, 'access'>) => this.#open(other, place)
      return await checkoutWhole(
        { engine, lfs: this.#parts.lfs, submodules, lfsContent, open },
        { place, commit, branch: source.branch, into, onLine, signal },
      )
    } catch (error) {
      // That of a submodule says so itself.
      if (!isFault(error, 'commit') || error.cause !== undefined) throw error
      // The commit may be missing because its branch is gone: then that is what people have to know.
      const refs = await engine.refs(place, signal)
      if (!refs.has(heads + source.branch)) throw missingBranch(source.branch, place, refs)
      throw error
    }
  }

  async #refs(
    source: SourceSettings,
    signal: AbortSignal,
  ): Promise<{ place: Place; refs: Map<string, string> }> {
    const place = await this.#place(source)
    return { place, refs: await (await this.#parts.engine()).refs(place, signal) }
  }

  async #place({ url, deployKey }: SourceSettings): Promise<Place> {
    const { allowFile, deployKeys } = this.#parts
    const address = parseAddress(url, allowFile)
    if (address.ssh === undefined) return address
    return this.#openSsh(
      address,
      deployKey === undefined ? undefined : await deployKeys.privateKey(deployKey),
    )
  }

  /** A repository that another one names: the app's key opens what is on the server that it is for. */
  async #open(other: Omit<Place, 'access'>, { access }: Place): Promise<Place> {
    if (other.ssh === undefined) return other
    const { host, port } = other.ssh
    const own = access?.server.host === host && access.server.port === port
    return this.#openSsh(other, own ? access.privateKey : undefined)
  }

  async #openSsh(address: Address, privateKey: string | undefined): Promise<Place> {
    const server = address.ssh
    if (server === undefined) return address
    const hostKeys = await this.#parts.knownHosts.of(server.host, server.port)
    return { ...address, access: { server, hostKeys, privateKey } }
  }
}

function namesBelow(prefix: string, refs: ReadonlyMap<string, string>): string[] {
  const names = [...refs.keys()].filter((name) => name.startsWith(prefix) && !name.endsWith('^{}'))
  return names.map((name) => name.slice(prefix.length))
}

function missingBranch(branch: string, { url }: Address, refs: ReadonlyMap<string, string>): RivetrError {
  const there = namesBelow(heads, refs)
  if (there.length === 0)
    return sourceFault('branch', `the repository ${url} is empty: push branch ${branch} first`)
  return sourceFault('branch', `branch ${branch} not found at ${url}; branches: ${some(there)}`)
}

function missingTag(ref: string, { url }: Address, refs: ReadonlyMap<string, string>): RivetrError {
  const there = namesBelow(tags, refs)
  const say = there.length === 0 ? 'there are no tags' : `tags: ${some(there)}`
  return sourceFault('branch', `tag ${ref.slice(tags.length)} not found at ${url}; ${say}`)
}

function some(names: readonly string[]): string {
  const more = names.length > namesShown ? `, and ${names.length - namesShown} more` : ''
  return `${names.slice(0, namesShown).join(', ')}${more}`
}

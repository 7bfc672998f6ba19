import type { Branch, Commit, FetchRequest, Source, SourceSettings } from '@rivetr/sdk'
import { imageFault } from './fault.ts'
import { writePinned } from './pinned.ts'
import { nameOf, parseReference, type Reference } from './reference.ts'
import type { Registries } from './registries.ts'
import type { Registry } from './registry.ts'

const tags = 'refs/tags/'
const algorithm = 'sha256:'

/** Images that somebody else has built. The id of a commit is the digest, without its algorithm. */
export class ImageSource implements Source {
  readonly builder = 'image'
  readonly #registry: Pick<Registry, 'digest'>
  readonly #registries: Pick<Registries, 'find'>

  constructor(registry: Pick<Registry, 'digest'>, registries: Pick<Registries, 'find'>) {
    this.#registry = registry
    this.#registries = registries
  }

  /** What the name of the app stands for now; `refs/tags/1.2` is another tag of the same repository. */
  async resolve(source: SourceSettings, ref: string, signal: AbortSignal): Promise<Commit> {
    const named = parseReference(source.url)
    const reference = ref === source.branch ? named : taggedAs(named, ref)
    const digest = await this.#ask(reference, signal)
    return { id: digest.slice(algorithm.length), message: nameOf(reference) }
  }

  async branches(): Promise<Branch[]> {
    return []
  }

  async check(source: SourceSettings, signal: AbortSignal): Promise<void> {
    await this.resolve(source, source.branch, signal)
  }

  /** The registry is asked once more, at the address that is allowed, before the engine goes there by itself. */
  async fetch({ source, commit, into, onLine, signal }: FetchRequest): Promise<Commit> {
    const { registry, repository } = parseReference(source.url)
    const digest = `${algorithm}${commit}`
    const reference = { registry, repository, digest }
    await this.#ask(reference, signal)
    const name = nameOf(reference)
    await writePinned(into, { registry, name })
    onLine(`the image is ${name}`)
    return { id: commit }
  }

  async #ask(reference: Reference, signal: AbortSignal): Promise<string> {
    return this.#registry.digest(reference, await this.#registries.find(reference.registry), signal)
  }
}

function taggedAs({ registry, repository }: Reference, ref: string): Reference {
  if (!ref.startsWith(tags))
    throw imageFault('branch', `an image has no branches; ${JSON.stringify(ref)} may be meant as a tag`)
  const tag = ref.slice(tags.length)
  return parseReference(`${registry}/${repository}:${tag}`)
}

import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Builder, type BuildRequest, type BuildResult, type Images, RivetrError } from '@rivetr/sdk'
import { type Pinned, readPinned } from './pinned.ts'
import type { Registries } from './registries.ts'

const dockerfile = 'Dockerfile'

/**
 * Takes an image as it is, by its digest, and puts Rivetr's labels on it: what carries them is found and removed with its
 * release. Nothing of a registry is needed for what was taken once.
 */
export class ImageBuilder implements Builder {
  readonly produces = 'oci'
  readonly order = 100
  readonly #findImages: (runtime: string) => Images | undefined
  readonly #registries: Pick<Registries, 'find'>
  /** For each runtime and name the end of the last build of it. */
  readonly #last = new Map<string, Promise<void>>()

  constructor(findImages: (runtime: string) => Images | undefined, registries: Pick<Registries, 'find'>) {
    this.#findImages = findImages
    this.#registries = registries
  }

  /** Only the source `image` names it. */
  async detect(): Promise<undefined> {}

  async build(request: BuildRequest): Promise<BuildResult> {
    const { runtime, signal, tree } = request
    const images = this.#findImages(runtime)
    if (images === undefined)
      throw new RivetrError(
        'unavailable',
        `the runtime ${runtime} has no images: its plugin does not run, or it runs folders only`,
      )
    const pinned = await readPinned(tree.folder)
    return this.#inTurn(`${runtime} ${pinned.name}`, signal, () => this.#label(images, pinned, request))
  }

  /** One after the other, so that none forgets the name from which another builds just now. */
  async #inTurn<T>(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key)
    const { promise: end, resolve } = Promise.withResolvers<void>()
    const last = Promise.all([before, end]).then(() => {
      if (this.#last.get(key) === last) this.#last.delete(key)
    })
    this.#last.set(key, last)
    try {
      signal.throwIfAborted()
      if (before !== undefined) await Promise.race([before, once(signal, 'abort')])
      signal.throwIfAborted()
      return await work()
    } finally {
      resolve()
    }
  }

  async #label(
    images: Images,
    { name, registry }: Pinned,
    { app, deployment, labels, onLine, signal, tree }: BuildRequest,
  ): Promise<BuildResult> {
    const credentials = await this.#registries.find(registry)
    const known = await images.find(name)
    const { id, ports } = await images.pull(name, { credentials, onLine, signal })
    try {
      await writeFile(join(tree.folder, dockerfile), `FROM ${id}\n`)
      const tag = `rivetr-${app.name}:${deployment}`
      const image = await images.build({
        folder: tree.folder,
        dockerfile,
        tag,
        labels,
        args: {},
        onLine,
        signal,
      })
      const [port] = ports
      return {
        artefact: { kind: 'oci', image: image.id },
        processes: { web: {} },
        ...(port === undefined ? {} : { port }),
      }
    } finally {
      // What was on the machine before is somebody else's. A name that stays costs little: it is no reason to fail.
      if (known === undefined)
        await images.forget(name).catch((error: Error) => {
          onLine(`the name ${name} stays with the runtime: ${error.message}`)
        })
    }
  }
}

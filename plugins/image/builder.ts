import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Builder, type BuildRequest, type BuildResult, type Images, RivetrError } from '@rivetr/sdk'
import { readPinned } from './pinned.ts'
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

  constructor(findImages: (runtime: string) => Images | undefined, registries: Pick<Registries, 'find'>) {
    this.#findImages = findImages
    this.#registries = registries
  }

  /** Only the source `image` names it. */
  async detect(): Promise<undefined> {}

  async build({
    app,
    deployment,
    labels,
    onLine,
    runtime,
    signal,
    tree,
  }: BuildRequest): Promise<BuildResult> {
    const images = this.#findImages(runtime)
    if (images === undefined)
      throw new RivetrError(
        'unavailable',
        `the runtime ${runtime} has no images: its plugin does not run, or it runs folders only`,
      )
    const { name, registry } = await readPinned(tree.folder)
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
      // What was on the machine before is somebody else's.
      if (known === undefined) await images.forget(name)
    }
  }
}

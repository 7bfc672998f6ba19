import { createHash } from 'node:crypto'
import { type ImageBuild, type ImageInfo, type Images, RivetrError } from '@rivetr/sdk'

/** An image store that is a map. The id of a build is the hash of what it was asked for. */
export class FakeImages implements Images {
  readonly #images = new Map<string, ImageInfo & { readonly appId: string }>()

  /** Puts an image in, as a build would. */
  add(appId: string, identity: string): ImageInfo {
    const id = `sha256:${createHash('sha256').update(identity).digest('hex')}`
    const image = { id, ports: [3000], sizeBytes: 1024, appId }
    this.#images.set(id, image)
    return image
  }

  async build({ labels, tag, signal }: ImageBuild): Promise<ImageInfo> {
    signal.throwIfAborted()
    return this.add(labels['rivetr.app'] ?? '', tag + JSON.stringify(labels))
  }

  async pull(reference: string): Promise<ImageInfo> {
    return this.add('', reference)
  }

  async forget(): Promise<void> {}

  async find(id: string): Promise<ImageInfo | undefined> {
    return this.#images.get(id)
  }

  async list(): Promise<(ImageInfo & { readonly appId: string })[]> {
    return [...this.#images.values()]
  }

  async remove(id: string): Promise<void> {
    this.#images.delete(id)
  }

  async export(id: string): Promise<AsyncIterable<Uint8Array>> {
    const image = this.#images.get(id)
    if (image === undefined) throw new RivetrError('not_found', `no image ${id}`)
    return one(Buffer.from(JSON.stringify(image)))
  }

  async import(tar: AsyncIterable<Uint8Array>): Promise<string> {
    const chunks: Uint8Array[] = []
    for await (const chunk of tar) chunks.push(chunk)
    const image = JSON.parse(Buffer.concat(chunks).toString()) as ImageInfo & { appId: string }
    this.#images.set(image.id, image)
    return image.id
  }
}

async function* one(chunk: Uint8Array): AsyncGenerator<Uint8Array> {
  yield chunk
}

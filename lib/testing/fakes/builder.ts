import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type ArtefactKind,
  type Builder,
  type BuildRequest,
  type BuildResult,
  RivetrError,
} from '@rivetr/sdk'
import type { FakeImages } from './images.ts'
import { untilAborted } from './runtime.ts'

/** Makes an image of the fake store, or a folder with one file. A test says what the source names, and lets builds fail or hang. */
export class FakeBuilder implements Builder {
  readonly produces: ArtefactKind
  order = 10
  /** What `detect` says of every tree. */
  detected: string | undefined = 'a fake understands everything'
  processes: BuildResult['processes'] = {}
  releaseCommand: readonly string[] | undefined
  /** What every build prints. */
  lines: string[] = []
  readonly requests: BuildRequest[] = []
  /** Builds under way now, and the most there ever were at once. */
  running = 0
  mostAtOnce = 0
  readonly #images: FakeImages | undefined
  #failure: Error | undefined
  #hang: PromiseWithResolvers<void> | undefined

  /** With a store of images it makes images, without one it makes folders. */
  constructor(images?: FakeImages) {
    this.#images = images
    this.produces = images === undefined ? 'folder' : 'oci'
  }

  /** The next build fails, once. */
  failNext(error: Error = new RivetrError('build_failed', 'the build ended with exit code 1')): void {
    this.#failure = error
  }

  /** Builds hang from now on, until their signal aborts or the returned function is called. */
  hang(): () => void {
    const gate = Promise.withResolvers<void>()
    this.#hang = gate
    return () => {
      this.#hang = undefined
      gate.resolve()
    }
  }

  async detect(): Promise<string | undefined> {
    return this.detected
  }

  async build(request: BuildRequest): Promise<BuildResult> {
    request.signal.throwIfAborted()
    this.requests.push(request)
    this.running += 1
    this.mostAtOnce = Math.max(this.mostAtOnce, this.running)
    try {
      for (const line of this.lines) request.onLine(line)
      const failure = this.#failure
      this.#failure = undefined
      if (failure !== undefined) throw failure
      if (this.#hang !== undefined) await untilAborted(this.#hang.promise, request.signal)
      return await this.#make(request)
    } finally {
      this.running -= 1
    }
  }

  async #make({ app, deployment, artefactFolder }: BuildRequest): Promise<BuildResult> {
    const named = {
      processes: this.processes,
      ...(this.releaseCommand === undefined ? {} : { releaseCommand: this.releaseCommand }),
    }
    if (this.#images !== undefined) {
      const { id } = this.#images.add(app.id, deployment)
      return { artefact: { kind: 'oci', image: id }, port: 3000, ...named }
    }
    await mkdir(artefactFolder, { recursive: true })
    await writeFile(join(artefactFolder, 'app'), deployment)
    const hash = createHash('sha256').update(deployment).digest('hex')
    return { artefact: { kind: 'folder', path: artefactFolder, hash }, ...named }
  }
}

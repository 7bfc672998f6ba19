import { randomUUID } from 'node:crypto'
import { copyFile, mkdtemp, mkdtempDisposable, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Dialect, type Engine, EngineImages, unless } from '@rivetr/engine-api'
import type { ImageInfo } from '@rivetr/sdk'
import type { ImagesSubject } from '@rivetr/testing/suites/images'
import { type BaseImage, ensureBaseImage } from './base-image.ts'
import { RegistryServer, testLogin, testRegistry } from './registry-server.ts'

const busybox: BaseImage = 'rivetr-test/busybox'

/** What tests do to an engine themselves, without a runtime between. */
export class EngineByHand {
  readonly engine: Engine
  private readonly dialect: Dialect
  private readonly socketPath: string

  constructor(engine: Engine, dialect: Dialect, socketPath: string) {
    this.engine = engine
    this.dialect = dialect
    this.socketPath = socketPath
  }

  /** An image with `runtime-app.mjs` of the runtime's contract suite. */
  async buildApp(images: EngineImages): Promise<ImageInfo> {
    await ensureBaseImage(this.socketPath, 'rivetr-test/node')
    const folder = await mkdtemp(join(tmpdir(), 'rivetr-app-'))
    try {
      const source = new URL('../../lib/testing/suites/runtime-app.mjs', import.meta.url)
      await copyFile(source, join(folder, 'runtime-app.mjs'))
      await writeFile(join(folder, 'Dockerfile'), 'FROM rivetr-test/node\nCOPY runtime-app.mjs /app/\n')
      return await images.build({
        folder,
        dockerfile: 'Dockerfile',
        tag: `rivetr-suite:${randomUUID()}`,
        labels: {},
        args: {},
        onLine: () => {},
        signal: AbortSignal.timeout(60_000),
      })
    } finally {
      await rm(folder, { recursive: true })
    }
  }

  async imagesSubject(): Promise<ImagesSubject> {
    await ensureBaseImage(this.socketPath, busybox)
    const folder = await mkdtemp(join(tmpdir(), 'rivetr-registry-'))
    const registry = new RegistryServer(join(folder, 'registry'))
    await registry.start()
    const reference = `${testRegistry}/suite/private:v1`
    await this.publish(reference, { Dockerfile: `FROM ${busybox}\nRUN echo ${randomUUID()} > /layer\n` })
    return {
      images: new EngineImages(this.engine, 'suite', this.dialect),
      other: new EngineImages(this.engine, 'somebody-else', this.dialect),
      base: busybox,
      print: (image, command) => this.print(image, command),
      labelsOf: async (image) => {
        const path = `/images/${image}/json`
        return (
          await this.engine.call<{ Config: { Labels: Record<string, string> } }>({ method: 'GET', path })
        ).Config.Labels
      },
      name: async (image, name) => {
        const [repo = '', tag = ''] = name.split(':')
        await this.engine.call({ method: 'POST', path: `/images/${image}/tag`, query: { repo, tag } })
      },
      use: async (Image) => {
        const { Id } = await this.create({ Image, Cmd: ['true'] })
        return () => this.removeContainer(Id)
      },
      holdings: () => this.holdings(),
      privateImage: { reference, credentials: testLogin },
      close: async () => {
        await registry[Symbol.asyncDispose]()
        await rm(folder, { recursive: true })
      },
    }
  }

  /** Builds an image for the registry of tests, brings it there and takes it off the engine. */
  async publish(reference: string, files: Readonly<Record<string, string>>): Promise<void> {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'rivetr-publish-'))
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder.path, name), text)
    const images = new EngineImages(this.engine, 'publisher', this.dialect)
    const signal = AbortSignal.timeout(60_000)
    const { id } = await images.build({
      folder: folder.path,
      dockerfile: 'Dockerfile',
      tag: reference,
      labels: {},
      args: {},
      onLine: () => {},
      signal,
    })
    const [, name = '', tag = ''] = /^(.*):([^:]+)$/.exec(reference) ?? []
    const path = `/images/${name}/push`
    let said = ''
    const pushing = { method: 'POST', path, query: { tag }, credentials: testLogin, signal } as const
    for await (const chunk of await this.engine.stream(pushing)) said += chunk
    if (said.includes('"error"')) throw new Error(`cannot push ${reference}: ${said}`)
    await images.remove(id)
  }

  create(json: object, name?: string): Promise<{ Id: string }> {
    const query = name === undefined ? {} : { name }
    return this.engine.call({ method: 'POST', path: '/containers/create', query, json })
  }

  async removeContainer(id: string): Promise<void> {
    await this.engine.call({ method: 'DELETE', path: `/containers/${id}`, query: { force: 1, v: 1 } })
  }

  async removeNetworks(...instances: string[]): Promise<void> {
    for (const instance of instances)
      await unless([404], this.engine.call({ method: 'DELETE', path: `/networks/rivetr-${instance}` }))
  }

  /** By a terminal's framing, once it has ended. */
  async print(Image: string, Cmd: readonly string[]): Promise<string> {
    const { Id } = await this.create({ Image, Entrypoint: Cmd, Cmd: [], Tty: true })
    try {
      await this.engine.call({ method: 'POST', path: `/containers/${Id}/start` })
      await this.engine.call({ method: 'POST', path: `/containers/${Id}/wait` })
      const stream = await this.engine.stream({
        method: 'GET',
        path: `/containers/${Id}/logs`,
        query: { stdout: 1 },
      })
      let text = ''
      for await (const chunk of stream) text += chunk
      return text.replaceAll('\r\n', '\n')
    } finally {
      await this.removeContainer(Id)
    }
  }

  /** Names of all containers, and images with their layers. */
  async holdings(): Promise<string[]> {
    const query = { all: 1 }
    const containers = await this.engine.call<{ Id: string }[]>({
      method: 'GET',
      path: '/containers/json',
      query,
    })
    const layers = await this.engine.call<{ Id: string }[]>({ method: 'GET', path: '/images/json', query })
    return [...containers, ...layers].map(({ Id }) => Id).sort()
  }
}

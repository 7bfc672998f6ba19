import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type ImageBuild,
  type ImageInfo,
  type ImagePull,
  type Images,
  messageOf,
  RivetrError,
} from '@rivetr/sdk'
import { mask } from '@rivetr/sdk/kit'
import { BuildGroup } from './build-group.ts'
import { type BuildTrace, buildFailed, readBuild, readTransfer } from './build-output.ts'
import type { Dialect } from './dialect.ts'
import { type Engine, unless } from './engine.ts'
import { engineMessage, engineStatus } from './engine-error.ts'
import { instanceFilter, labels } from './labels.ts'

interface Inspected {
  readonly Id: string
  readonly Size: number
  readonly RepoTags: readonly string[] | null
  readonly Config: {
    readonly Labels?: Readonly<Record<string, string>> | null
    readonly ExposedPorts?: Readonly<Record<string, unknown>> | null
  } | null
}

/** A base image may come over a slow line before the first word of the build; the step's deadline ends it earlier. */
const buildLimitMs = 60 * 60_000
const transferLimitMs = 60 * 60_000
/** How long the engine may take to clear away what an aborted build was doing. */
const clearLimitMs = 5_000

/** The images of an engine that speaks the Docker Engine API. */
export class EngineImages implements Images {
  private readonly engine: Engine
  private readonly instance: string
  private readonly dialect: Dialect

  constructor(engine: Engine, instance: string, dialect: Dialect) {
    this.engine = engine
    this.instance = instance
    this.dialect = dialect
  }

  async build(build: ImageBuild): Promise<ImageInfo> {
    const { signal, onLine } = build
    const trace: BuildTrace = { layers: [] }
    const begunAtMs = Date.now()
    const group = this.groupOfBuild()
    // The libraries for archives are loaded with the first build, not when Rivetr starts.
    const { buildContext } = await import('./build-context.ts')
    const archive = await buildContext(build.folder, build.dockerfile)
    try {
      const body = await this.engine.stream({
        method: 'POST',
        path: '/build',
        query: { ...this.buildQuery(build), ...(group && { cgroupparent: group.path }) },
        archive,
        signal,
        limitMs: buildLimitMs,
      })
      await readBuild(body, trace, onLine)
      signal.throwIfAborted()
      // Never by its tag: that could still be the name of an image from before.
      if (trace.image === undefined) throw buildFailed('the engine ended the build without naming an image')
      return await this.get(trace.image)
    } catch (error) {
      // What went wrong with the build says more than what goes wrong now.
      await group?.end(clearLimitMs)
      await this.clear(trace, begunAtMs).catch(() => {})
      if (signal.aborted) throw signal.reason
      if (archive.errored !== null)
        throw buildFailed(`its files cannot be read: ${archive.errored.message}`, error)
      if (RivetrError.is(error) && engineStatus(error) === undefined) throw error
      // A Dockerfile that cannot be read is refused before the first step.
      throw buildFailed(engineMessage(error) ?? messageOf(error), error)
    } finally {
      archive.destroy()
    }
  }

  async pull(reference: string, options: ImagePull): Promise<ImageInfo> {
    // Without a tag the engine would fetch every tag there is.
    const named = /@sha256:|:[^/]+$/.test(reference) ? reference : `${reference}:latest`
    const { credentials, onLine, signal } = options
    const what = `the image ${named}`
    const masked = mask(credentials === undefined ? [] : [credentials.password])
    try {
      const query = { fromImage: named }
      const body = await this.engine.stream({
        method: 'POST',
        path: '/images/create',
        query,
        credentials,
        signal,
        limitMs: transferLimitMs,
      })
      await readTransfer(body, what, (line) => onLine(masked(line)))
      return await this.get(named)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      const said = engineMessage(error)
      if (said === undefined && !RivetrError.is(error, 'source_failed')) throw error
      // Without a cause: it repeats what was said, unmasked.
      throw new RivetrError(
        'source_failed',
        masked(said === undefined ? messageOf(error) : `cannot get ${what}: ${said}`),
      )
    }
  }

  async forget(reference: string): Promise<void> {
    const path = `/images/${encodeURIComponent(reference)}`
    // 409: something is made of it, or runs it.
    await unless([404, 409], this.engine.call({ method: 'DELETE', path }))
  }

  async find(id: string): Promise<ImageInfo | undefined> {
    const image = await this.inspect(id)
    return image && infoOf(image)
  }

  async list(): Promise<(ImageInfo & { readonly appId: string })[]> {
    const query = { filters: instanceFilter(this.instance) }
    const found = await this.engine.call<{ Id: string }[]>({ method: 'GET', path: '/images/json', query })
    const images = await Promise.all(found.map(({ Id }) => this.inspect(Id)))
    return images
      .filter((image) => image !== undefined)
      .map((image) => ({ ...infoOf(image), appId: image.Config?.Labels?.[labels.app] ?? '' }))
  }

  async remove(id: string): Promise<void> {
    const image = await this.inspect(id)
    if (image === undefined) return
    if (image.Config?.Labels?.[labels.instance] !== this.instance)
      throw new RivetrError('conflict', `the image ${id} was not made by this Rivetr, and stays`)
    await this.refuseWhenUsed(image.Id)
    // An image with several names goes when its last name goes; one without a name goes by its id.
    const names = namesOf(image)
    for (const name of names.length > 0 ? names : [image.Id])
      await unless([404], this.engine.call({ method: 'DELETE', path: `/images/${encodeURIComponent(name)}` }))
  }

  async export(id: string): Promise<AsyncIterable<Uint8Array>> {
    return this.engine.stream({ method: 'GET', path: `/images/${encodeURIComponent(id)}/get` })
  }

  async import(tar: AsyncIterable<Uint8Array>): Promise<string> {
    const archive = Readable.from(tar, { objectMode: false })
    const query = { quiet: 1 }
    const body = await this.engine.stream({
      method: 'POST',
      path: '/images/load',
      query,
      archive,
      limitMs: transferLimitMs,
    })
    let loaded: string | undefined
    await readTransfer(body, 'the image of the stream', (line) => {
      loaded = /^Loaded image(?: ID)?: (.+)$/.exec(line)?.[1] ?? loaded
    })
    if (loaded === undefined)
      throw new RivetrError('invalid_input', 'the stream held no image as "docker save" writes it')
    return (await this.get(loaded)).id
  }

  private groupOfBuild(): BuildGroup | undefined {
    const needed = !this.dialect.endsBuilds && this.engine.isLocal && BuildGroup.possible()
    return needed ? new BuildGroup() : undefined
  }

  private buildQuery(build: ImageBuild): Record<string, string | number> {
    const { memoryBytes, cpus } = build.limits ?? {}
    return {
      dockerfile: build.dockerfile,
      ...(build.target === undefined ? {} : { target: build.target }),
      t: build.tag,
      labels: JSON.stringify({ ...build.labels, [labels.instance]: this.instance }),
      buildargs: JSON.stringify(build.args),
      rm: 1,
      forcerm: 1,
      ...(memoryBytes === undefined ? {} : { memory: memoryBytes, memswap: memoryBytes }),
      ...(cpus === undefined ? {} : { cpuperiod: 100_000, cpuquota: Math.round(cpus * 100_000) }),
    }
  }

  /**
   * Takes away what an unfinished build made. Its layers carry no label, so nobody could tell later that they are
   * ours; the layers of earlier builds of the app stay, and the next build goes on from them.
   */
  private async clear({ container, layers }: BuildTrace, begunAtMs: number): Promise<void> {
    if (container !== undefined) await this.clearContainer(container, begunAtMs)
    for (const layer of layers.reverse()) await this.clearLayer(layer)
  }

  /** By what the build printed, and a program may print anything: an image with a name is never a layer. */
  private async clearLayer(id: string): Promise<void> {
    const image = await this.inspect(id)
    if (image === undefined || namesOf(image).length > 0) return
    // A layer that something else builds on by now is not ours to remove, and the engine refuses it.
    await unless([404, 409], this.engine.call({ method: 'DELETE', path: `/images/${image.Id}` }))
  }

  /**
   * The engine ends the step by itself once nobody listens; where it is slow, it is told. Also known only by what the build
   * printed: a container that was there before is not one of its steps.
   */
  private async clearContainer(id: string, begunAtMs: number): Promise<void> {
    const path = `/containers/${id}`
    for (const giveUpAt = Date.now() + clearLimitMs; Date.now() < giveUpAt; await sleep(50)) {
      const found = await unless(
        [404],
        this.engine.call<{ Created: string }>({ method: 'GET', path: `${path}/json` }),
      )
      if (found === undefined || Date.parse(found.Created) < begunAtMs) return
    }
    await unless([404, 409], this.engine.call({ method: 'DELETE', path, query: { force: 1 } }))
  }

  private async refuseWhenUsed(id: string): Promise<void> {
    const query = { all: 1, filters: JSON.stringify({ ancestor: [id] }) }
    const users = await this.engine.call<{ Names: string[] }[]>({
      method: 'GET',
      path: '/containers/json',
      query,
    })
    const name = users[0]?.Names[0]?.replace(/^\//, '')
    if (name !== undefined)
      throw new RivetrError('conflict', `the image ${id} is in use by the container ${name}`)
  }

  private async get(reference: string): Promise<ImageInfo> {
    const image = await this.inspect(reference)
    if (image === undefined)
      throw new RivetrError('not_found', `no image ${reference} at ${this.engine.title}`)
    return infoOf(image)
  }

  private inspect(reference: string): Promise<Inspected | undefined> {
    const path = `/images/${encodeURIComponent(reference)}/json`
    return unless([404], this.engine.call<Inspected>({ method: 'GET', path }))
  }
}

function namesOf({ RepoTags }: Inspected): string[] {
  return RepoTags?.filter((tag) => tag !== '<none>:<none>') ?? []
}

function infoOf({ Id, Size, Config }: Inspected): ImageInfo {
  const ports = Object.keys(Config?.ExposedPorts ?? {})
    .filter((port) => port.endsWith('/tcp'))
    .map((port) => Number.parseInt(port, 10))
  return { id: Id, sizeBytes: Size, ports: ports.sort((a, b) => a - b) }
}
